"""/v1/media"""

from __future__ import annotations

import re
from typing import Any, BinaryIO, cast

from flask import Blueprint, request
from werkzeug.http import parse_options_header

from service import media
from service.api.auth import requires
from service.api.decoding import WrongMediaType, page_of, read_id, read_page
from service.edge import services
from service.model import Role, StoredMedium
from service.storage import media as stored
from service.views import view_medium

blueprint = Blueprint("media", __name__, url_prefix="/v1/media")

LONGEST_NAME = 200


@blueprint.post("")
@requires(Role.STAFF)
def post_medium() -> tuple[Any, int, dict[str, str]]:
    """The body is the file itself, read as it comes; what it is, its bytes say."""
    request.max_content_length = services().settings.max_media_bytes
    if request.mimetype == "multipart/form-data":
        raise WrongMediaType(expected="application/octet-stream")
    medium, is_new = media.keep_medium(
        services().storage, services().settings.media_dir, cast(BinaryIO, request.stream), _name(), services().clock()
    )
    location = f"{services().profile.base_url}/v1/media/{medium.id}"
    return _view(medium), 201 if is_new else 200, {"Location": location}


@blueprint.get("")
@requires(Role.STAFF)
def list_media() -> tuple[Any, int, dict[str, str]]:
    limit, before = read_page()
    with services().storage.read() as tx:
        found = stored.list_media(tx, limit=limit + 1, before=before)
    page, headers = page_of(found, limit, lambda medium: medium.id, _view)
    return page, 200, headers


@blueprint.get("/<medium_id>")
@requires(Role.STAFF)
def get_medium(medium_id: str) -> Any:
    return _view(media.get_medium(services().storage, read_id("medium", medium_id)))


def _view(medium: StoredMedium) -> dict[str, Any]:
    return view_medium(medium, services().profile)


def _name() -> str | None:
    """The last part of the file name that Content-Disposition gives (RFC 6266), fit to be sent back."""
    _, options = parse_options_header(_as_sent(request.headers.get("Content-Disposition", "")))
    name = re.split(r"[/\\\\]", options.get("filename", ""))[-1]
    return "".join(sign for sign in name if sign.isprintable()).strip()[:LONGEST_NAME] or None


def _as_sent(header: str) -> str:
    """A header's octets come as Latin-1 (PEP 3333); curl and browsers send names in UTF-8 (RFC 9110, section 5.5)."""
    try:
        return header.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return header
