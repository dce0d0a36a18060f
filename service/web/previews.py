"""/{language}/previews/{token}: the page that readers will get, to whoever has the address."""

from __future__ import annotations

from flask import Blueprint, Response

from service import previews
from service.edge import services
from service.web import pages, routes

blueprint = Blueprint("web_previews", __name__)

# The address is all that it takes, so nobody is to keep it, list it or be told it.
UNSEEN = {"Cache-Control": "no-store", "X-Robots-Tag": "noindex", "Referrer-Policy": "no-referrer"}


@blueprint.get("/<url_name>/previews/<token>")
def preview(url_name: str, token: str) -> Response:
    profile = services().profile
    found = previews.open_preview(services().storage, token, services().clock())
    language = profile.find_language_by_url_name(url_name)
    if language is None or found.release.edition(language.tag) is None:
        return routes.missing_page()
    return Response(pages.render_preview(profile, language, found), mimetype="text/html")


@blueprint.after_request
def keep_unseen(response: Response) -> Response:
    """Of a refusal too: its address may be good again in another language, or once the database is back."""
    response.headers.update(UNSEEN)
    return response
