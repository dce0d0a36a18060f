"""The page behind the link of an e-mail, in all languages at once: who follows it may read any."""

from __future__ import annotations

from flask import Blueprint, Response

from service import unsubscribing
from service.edge import services
from service.errors import NotFound
from service.model import STANDING
from service.web import pages

blueprint = Blueprint("unsubscribing", __name__, url_prefix="/unsubscribe")


@blueprint.get("/<token>")
def ask(token: str) -> Response:
    """Mail scanners follow every link, so a GET changes nothing."""
    try:
        found = unsubscribing.find_by_token(services().storage, token)
    except NotFound:
        return _page("unknown", 404)
    return _page("ask" if found.state in STANDING else "done")


@blueprint.post("/<token>")
def unsubscribe(token: str) -> Response:
    """One click (RFC 8058 section 3.2): no key, no cookie, no redirect, whatever the body says."""
    try:
        unsubscribing.unsubscribe(services().storage, token)
    except NotFound:
        return _page("unknown", 404)
    return _page("done")


def _page(state: str, status: int = 200) -> Response:
    response = Response(pages.render_unsubscribing(services().profile, state), status, mimetype="text/html")
    response.headers["Cache-Control"] = "no-store"
    # The one form that our pages have.
    response.headers["Content-Security-Policy"] = (
        "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )
    return response
