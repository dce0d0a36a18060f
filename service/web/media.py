"""/media/: uploaded files, to anybody once a public release shows them."""

from __future__ import annotations

from flask import Blueprint, Response, request, send_file

from service.edge import find_bearer, services, speech
from service.media_types import is_shown_inline
from service.messages import say
from service.model import Role, StoredMedium
from service.previews import shows_file
from service.release_media import FILE_NAME
from service.storage import media
from service.storage.media import Visibility
from service.web import pages
from service.web.previews import UNSEEN

blueprint = Blueprint("web_media", __name__)

# The name is made from the bytes, so they never change.
FOREVER = "public, max-age=31536000, immutable"
# Who opens a picture or a recording by itself sees the browser's own page of it, with styles in it.
_FILE_POLICY = "sandbox; default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'"
# Safari shows no PDF in a sandbox; browsers' PDF viewers keep its scripts away from the site by themselves.
_PDF_POLICY = "frame-ancestors 'none'"


@blueprint.get("/media/<file_name>")
def medium(file_name: str) -> Response:
    """Without a public release it is not there, but for those who look at what is about to be published."""
    found = _find(file_name)
    if found and found[1] is Visibility.SHOWN:
        return _send(found[0], {"Cache-Control": FOREVER})
    if found and (_is_staff() or _is_in_preview(found[0])):
        return _send(found[0], UNSEEN)
    return _refuse(410, "gone") if found and found[1] is Visibility.GONE else _refuse(404, "not_found")


def _find(file_name: str) -> tuple[StoredMedium, Visibility] | None:
    # Not every database can be asked for any name.
    if not FILE_NAME.fullmatch(file_name):
        return None
    with services().storage.read() as tx:
        return media.find_served(tx, file_name)


def _send(stored: StoredMedium, headers: dict[str, str]) -> Response:
    """With a strong tag, in the ranges that were asked for (RFC 9110 sections 8.8.3 and 14)."""
    inline = is_shown_inline(stored.type)
    response = send_file(
        services().settings.media_dir / stored.file_name, mimetype=stored.type, etag=stored.digest,
        last_modified=stored.created_at, as_attachment=not inline, download_name=stored.name or stored.file_name,
    )
    response.headers.update(headers)
    response.headers["Content-Security-Policy"] = _PDF_POLICY if stored.type == "application/pdf" else _FILE_POLICY
    return response


def _is_staff() -> bool:
    key = find_bearer()
    return key is not None and key.role in (Role.STAFF, Role.ADMIN)


def _is_in_preview(stored: StoredMedium) -> bool:
    """Whether it is asked for by the page of a preview that shows it."""
    token = request.args.get("preview")
    return token is not None and shows_file(services().storage, token, stored, services().clock())


def _refuse(status: int, reason: str) -> Response:
    """Never cached: the file may be public a moment later."""
    profile, words = services().profile, speech()
    language = next((known for known in profile.languages if known.tag.startswith(words)), profile.languages[0])
    title, text = say(words, f"page.media_{reason}.title"), say(words, f"page.media_{reason}.text")
    response = Response(pages.render_problem(profile, language, title, text), status, mimetype="text/html")
    response.headers["Cache-Control"] = "no-store"
    response.vary.add("Accept-Language")
    return response
