"""/v1/openapi.json, and /docs/ which shows it with assets of our own serving."""

from __future__ import annotations

from typing import Any

from flask import Blueprint
from flask_swagger_ui import get_swaggerui_blueprint

from service.api.openapi import build_openapi
from service.edge import services

blueprint = Blueprint("docs", __name__)

swagger_ui = get_swaggerui_blueprint("/docs", "/v1/openapi.json", config={"app_name": "Diglot API"})


@blueprint.get("/v1/openapi.json")
def describe() -> Any:
    return build_openapi(services().profile.base_url)
