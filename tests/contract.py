"""A test client that holds every JSON answer against the OpenAPI document which the service publishes."""

from __future__ import annotations

import functools
import re
from typing import Any

import jsonschema_rs
from flask.testing import FlaskClient
from werkzeug.exceptions import HTTPException
from werkzeug.test import TestResponse

import schemas
from service.api.openapi import build_openapi


class ContractClient(FlaskClient):
    """Fails the test whose answer has a status, a media type or a shape that is not described."""

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        response = super().open(*args, **kwargs)
        rule = self._find_rule(response)
        described = rule and rule.startswith(("/v1/", "/healthz", "/readyz"))
        asked = response.request.method != "OPTIONS" and response.status_code not in (405, 500)
        if rule and described and asked and not _is_malformed(response):
            check(response, rule)
        return response

    def _find_rule(self, response: TestResponse) -> str | None:
        """The route that answered, with its parameters as `{}`; None for a redirect or nothing."""
        adapter = self.application.url_map.bind_to_environ(response.request.environ)
        try:
            rule, _ = adapter.match(return_rule=True)
        except HTTPException:
            return None
        return re.sub(r"<[^>]+>", "{}", rule.rule)


def _is_malformed(response: TestResponse) -> bool:
    """What breaks the rules of HTTP is refused before any operation is asked."""
    return response.status_code == 400 and response.json["code"] == "malformed_request"


def check(response: TestResponse, shape: str) -> None:
    path, method, status = _path(shape), response.request.method.lower(), response.status_code
    described = _document()["paths"][path][method]["responses"]
    assert str(status) in described, f"{method} {path} answered {status}, which is not described"
    content = _follow(described[str(status)]).get("content", {})
    if not content:
        assert response.data == b"", f"{method} {path} {status} has a body that is not described"
        return
    assert response.mimetype in content, f"{method} {path} {status} came as {response.mimetype}"
    if response.mimetype == "text/html":
        return
    errors = _validator(path, method, status, response.mimetype).iter_errors(response.json)
    assert [(error.instance_path, error.message) for error in errors] == []


@functools.cache
def _document() -> dict[str, Any]:
    return build_openapi("https://news.example")


@functools.cache
def _path(shape: str) -> str:
    return next(path for path in _document()["paths"] if re.sub(r"\{[^}]+\}", "{}", path) == shape)


@functools.cache
def _validator(path: str, method: str, status: int, media_type: str) -> jsonschema_rs.Draft202012Validator:
    response = _follow(_document()["paths"][path][method]["responses"][str(status)])
    schema = response["content"][media_type]["schema"]
    return schemas.make_validator({"allOf": [schema], "components": _document()["components"]})


def _follow(node: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in node:
        return node
    return _document()["components"]["responses"][node["$ref"].rpartition("/")[2]]
