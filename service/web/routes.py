"""Public routes. Pages and feeds show a release only once all its editions are out."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import langcodes
from flask import Blueprint, Response, abort, request

from service.config import Language
from service.edge import services, speech
from service.messages import has_message, say
from service.storage import feeds, releases
from service.views import iso
from service.web import pages

blueprint = Blueprint("web", __name__)

PAGE_ENTRIES = 25
# Feeds name the same number as their ttl, so that readers that heed the larger of both wait no longer.
MAX_AGE_SECONDS = 60


@blueprint.get("/feeds/<name>")
def feed(name: str) -> Response:
    """A document as it was rendered, in the encoding that the reader takes (RFC 9110 section 8.4)."""
    with services().storage.read() as tx:
        document = feeds.find_document(tx, f"/feeds/{name}")
    if document is None:
        abort(404)
    packed = request.accept_encodings["gzip"] > 0
    body = document.gzip_body if packed else document.body
    response = Response(body, content_type=f"{document.media_type}; charset=utf-8")
    if packed:
        response.content_encoding = "gzip"
    response.set_etag(document.gzip_etag if packed else document.etag)
    response.last_modified = document.last_modified
    response.vary.add("Accept-Encoding")
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Access-Control-Expose-Headers"] = "ETag, Last-Modified"
    return _cacheable(response)


@blueprint.get("/")
def home() -> Response:
    """To the list in the reader's language, else in the newsroom's first."""
    response = Response(status=302, headers={"Location": f"/{_wanted().url_name}/"})
    response.vary.add("Accept-Language")
    return response


@blueprint.after_request
def answer_preflight(response: Response) -> Response:
    """Scripts of other sites may poll feeds as politely as readers do (Fetch standard, section 4.8)."""
    if request.method == "OPTIONS" and request.path.startswith("/feeds/"):
        response.headers["Access-Control-Allow-Origin"] = "*"
        response.headers["Access-Control-Allow-Headers"] = "If-None-Match, If-Modified-Since"
        response.headers["Access-Control-Max-Age"] = "86400"
    return response


@blueprint.get("/robots.txt")
def robots() -> Response:
    """RFC 9309. Pages and feeds are for everybody."""
    return _cacheable(Response("User-agent: *\nDisallow: /v1/\n", mimetype="text/plain"))


@blueprint.get("/favicon.ico")
def favicon() -> Response:
    """What browsers ask for beside a document that names no icon, such as a feed."""
    icon = services().profile.icon
    return _cacheable(Response(status=302, headers={"Location": icon})) if icon else abort(404)


# Either spelling, so that no address that leads nowhere is first sent on to another one.
@blueprint.get("/<url_name>/", strict_slashes=False)
def list_page(url_name: str) -> Response:
    language = _language(url_name)
    with services().storage.read() as tx:
        found = releases.list_public_releases(tx, limit=PAGE_ENTRIES + 1, before=_before())
    shown = found[:PAGE_ENTRIES]
    items = [(release, edition) for release in shown if (edition := release.edition(language.tag))]
    older = f"?before={iso(shown[-1].published_at)}" if len(found) > PAGE_ENTRIES else None
    return _page(pages.render_list, language, items, older)


@blueprint.get("/<url_name>/releases/<slug>")
def release_page(url_name: str, slug: str) -> Response:
    language = _language(url_name)
    with services().storage.read() as tx:
        release = releases.find_public_release(tx, slug)
    edition = release.edition(language.tag) if release else None
    if release is None or edition is None:
        return _missing(language)
    return _page(pages.render_release, language, release, edition)


@blueprint.get("/problems/<code>")
def problem_page(code: str) -> Response:
    """What the `type` of a problem leads to (RFC 9457 section 3.1.1)."""
    if not has_message(f"problem.{code}.title"):
        abort(404)
    profile = services().profile
    language = next((known for known in profile.languages if known.tag.startswith(speech())), profile.languages[0])
    title, text = say(speech(), f"problem.{code}.title"), say(speech(), f"problem.{code}.about")
    response = Response(pages.render_problem(profile, language, title, text), mimetype="text/html")
    response.vary.add("Accept-Language")
    response.content_language.add(language.tag)
    return _cacheable(response)


def is_for_people() -> bool:
    """Whether the caller would rather have a page than JSON: browsers say so, programs don't."""
    best = request.accept_mimetypes.best_match(["application/problem+json", "text/html"])
    return best == "text/html" and not request.path.startswith("/v1/")


def missing_page() -> Response:
    """That there is nothing, in the language of the path, else in the reader's."""
    named = services().profile.find_language_by_url_name(request.path.split("/")[1])
    response = _missing(named or _wanted())
    response.vary.update(("Accept", "Accept-Language"))
    return response


def _wanted() -> Language:
    """The newsroom's language that the reader asks for, else its first."""
    profile = services().profile
    tags = [language.tag for language in profile.languages]
    wanted = (_closest(tag, tags) for tag in request.accept_languages.values())
    language = profile.find_language(next(filter(None, wanted), tags[0]))
    assert language
    return language


def _closest(wanted: str, tags: list[str]) -> str | None:
    try:
        return langcodes.closest_supported_match(wanted, tags)
    except ValueError:
        return None


def _language(url_name: str) -> Language:
    return services().profile.find_language_by_url_name(url_name) or abort(404)


def _before() -> datetime | None:
    text = request.args.get("before")
    try:
        return datetime.fromisoformat(text).astimezone() if text else None
    except (ValueError, OverflowError):
        abort(404)


def _page(render: Callable[..., str], language: Language, *parts: Any) -> Response:
    response = Response(render(services().profile, language, *parts), mimetype="text/html")
    response.add_etag()
    return _cacheable(response)


def _missing(language: Language) -> Response:
    """Not cached: the page may be public a moment later."""
    response = Response(pages.render_not_found(services().profile, language), 404, mimetype="text/html")
    response.cache_control.no_store = True
    return response


def _cacheable(response: Response) -> Response:
    response.cache_control.public = True
    response.cache_control.max_age = MAX_AGE_SECONDS
    response.make_conditional(request)
    if response.status_code == 412:
        response.set_data(b"")
    return response
