"""/v1/releases/{id}/previews: addresses at which a release can be looked at before it is public."""

from __future__ import annotations

from typing import Any

from flask import Blueprint

from service import previews
from service.api.auth import requires
from service.api.decoding import read_id
from service.edge import caller, services
from service.model import Role
from service.views import view_preview

blueprint = Blueprint("previews", __name__, url_prefix="/v1/releases/<release_id>/previews")


@blueprint.post("")
@requires(Role.STAFF)
def post_preview(release_id: str) -> tuple[Any, int, dict[str, str]]:
    release, shown_by = previews.issue_pass(
        services().storage, read_id("release", release_id), services().clock(), caller()
    )
    # Whoever has the addresses needs no key: no cache may keep them.
    return view_preview(release, shown_by, services().profile), 201, {"Cache-Control": "no-store"}
