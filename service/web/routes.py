"""Public routes. Pages and feeds show a release only once all its editions are out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import langcodes
from flask import Blueprint, Response, abort, request
from werkzeug.datastructures import Headers

from service import sitemaps
from service.archives import find_archive
from service.config import Language
from service.directory import find_new_path, is_retired
from service.edge import services, speech
from service.messages import has_message, say
from service.model import Document, Release
from service.representations import BROWSABLE, EXPOSED_HEADERS, MAX_AGE_SECONDS, SELECTING_FIELDS, link_of
from service.storage import Transaction, feeds, listings, releases
from service.web import pages

blueprint = Blueprint("web", __name__)

PAGE_ENTRIES = 25
# As one feed among those that are drawn.
SITEMAPS = "sitemaps"


@blueprint.get("/feeds.opml")
@blueprint.get("/feeds/<name>")
@blueprint.get("/feeds/<url_name>/<name>")
def feed(name: str = "", url_name: str = "") -> Response:
    """A document as it was rendered at the last swap."""
    if former := _former_feed():
        return former
    with services().storage.read() as tx:
        found = feeds.find_document(tx, request.path)
    return _hand_out(*found) if found else abort(404)


@blueprint.get("/feeds/<url_name>/archive/<int:number>.<format>")
@blueprint.get("/feeds/<url_name>/<category>/archive/<int:number>.<format>")
def archive(url_name: str, number: int, format: str, category: str = listings.ALL) -> Response:
    if former := _former_feed():
        return former
    kept = services().memory.find(request.path)
    drawn = kept.representations.document if kept else None
    language = _language(url_name)
    with services().drawing_room.draw(f"{language.tag}/{category}" if category else language.tag):
        found = find_archive(
            services().storage, services().profile, language, number, format, drawn, category=category
        )
    return _hand_out(*found) if found else abort(404)


@blueprint.get("/sitemap.xml")
def sitemap_index() -> Response:
    with services().drawing_room.draw(SITEMAPS):
        return _serve(sitemaps.find_index(services().storage, services().profile) or abort(404))


@blueprint.get("/sitemaps/<int:number>.xml")
def sitemap(number: int) -> Response:
    with services().drawing_room.draw(SITEMAPS):
        return _serve(sitemaps.find_sitemap(services().storage, services().profile, number) or abort(404))


@blueprint.get("/robots.txt")
def robots() -> Response:
    """Where search engines begin (RFC 9309; `Sitemap` is of the sitemaps protocol)."""
    text = f"User-agent: *\nDisallow: /v1/\nSitemap: {services().profile.base_url}{sitemaps.INDEX_PATH}\n"
    return _cacheable(Response(text, mimetype="text/plain"))


def _former_feed() -> Response | None:
    """What a reader that still asks for a feed of former times is to do (RFC 9110 sections 15.4.2 and 15.5.11)."""
    profile = services().profile
    if is_retired(profile, request.path):
        abort(410)
    path = find_new_path(profile, request.path)
    location = urlsplit(f"{profile.base_url}{path}").path
    return _cacheable(Response(status=301, headers={"Location": location})) if path else None


def _hand_out(generation: int, document: Document) -> Response:
    """Readers after this one need not come here: until the next generation, the hatch answers them from memory."""
    kept = services().memory.keep(generation, document)
    if request.headers.get("Sec-Fetch-Dest") == "document":
        return _serve(document)
    fields = {name: request.headers.get(name.decode(), "").encode("latin-1") for name in SELECTING_FIELDS}
    answer = kept.representations.answer({name: value for name, value in fields.items() if value})
    response = Response(answer.body, answer.status)
    response.headers = Headers((name.decode(), value.decode("latin-1")) for name, value in answer.headers)
    return response


def _serve(document: Document) -> Response:
    """In the encoding that the reader takes (RFC 9110 section 8.4)."""
    packed = request.accept_encodings["gzip"] > 0
    response = Response(document.gzip_body if packed else document.body)
    if packed:
        response.content_encoding = "gzip"
    response.set_etag(document.gzip_etag if packed else document.etag)
    response.last_modified = document.last_modified
    response.vary.add("Accept-Encoding")
    response.headers["Access-Control-Allow-Origin"] = "*"
    _name_media_type(response, document.media_type)
    response.headers["Access-Control-Expose-Headers"] = EXPOSED_HEADERS
    response.headers.update(link_of(document))
    return _cacheable(response)


def _name_media_type(response: Response, media_type: str) -> None:
    """The feed's own, and to somebody who opens Atom or RSS in a browser plain XML, for the same bytes.

    Chromium shows either as source and Firefox saves it, unless it is called XML; then both apply the feed's style.
    No feed reader and no hub sends this header of the Fetch standard.
    """
    if media_type in BROWSABLE:
        response.vary.add("Sec-Fetch-Dest")
        if request.headers.get("Sec-Fetch-Dest") == "document":
            media_type = "application/xml"
    response.content_type = f"{media_type}; charset=utf-8"


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


@blueprint.get("/favicon.ico")
def favicon() -> Response:
    """What browsers ask for beside a document that names no icon, such as a feed."""
    icon = services().profile.icon
    return _cacheable(Response(status=302, headers={"Location": icon})) if icon else abort(404)


# Either spelling, so that no address that leads nowhere is first sent on to another one.
@blueprint.get("/<url_name>/", strict_slashes=False)
def list_page(url_name: str) -> Response:
    language, before = _language(url_name), _before()
    with services().storage.read() as tx:
        ids = listings.page_ids(tx, language.tag, limit=PAGE_ENTRIES + 1, before=before)
        found = {release.id: release for release in releases.list_public(tx, ids)}
    shown = [found[release_id] for release_id in ids[:PAGE_ENTRIES]]
    items = [(release, edition) for release in shown if (edition := release.edition(language.tag))]
    older = f"?before={shown[-1].position}" if len(ids) > PAGE_ENTRIES else None
    return _page(pages.render_list, language, items, older, f"?before={before}" if before else "")


@blueprint.get("/<url_name>/feeds/")
def feeds_page(url_name: str) -> Response:
    return _page(pages.render_feeds, _language(url_name))


@blueprint.get("/<url_name>/releases/<slug>")
def release_page(url_name: str, slug: str) -> Response:
    language = _language(url_name)
    with services().storage.read() as tx:
        release = releases.find_public_release(tx, slug)
        edition = release.edition(language.tag) if release else None
        if release is None or edition is None:
            return _missing(language)
        if release.withdrawn_at:
            return _withdrawn(language, release, _find_successor(tx, release))
        corrections = releases.list_corrections(tx, release)
    return _page(pages.render_release, language, release, edition, corrections)


def _find_successor(tx: Transaction, release: Release) -> Release | None:
    successor = release.withdrawal and release.withdrawal.superseded_by
    return next(iter(releases.list_public(tx, [successor])), None) if successor else None


def _withdrawn(language: Language, release: Release, successor: Release | None) -> Response:
    """To the release that stands in its place, else the page without its text (RFC 9110 section 15.5.11)."""
    if successor and successor.edition(language.tag):
        location = urlsplit(services().profile.page_url(language, successor.slug)).path
        response = Response(status=301, headers={"Location": location})
    else:
        page = pages.render_withdrawn(services().profile, language, release, successor)
        response = Response(page, 410, mimetype="text/html")
    return _cacheable(response)


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
    response = _missing(page_language())
    response.vary.update(("Accept", "Accept-Language"))
    return response


def page_language() -> Language:
    """The newsroom's language that the path names, else the reader's."""
    return services().profile.find_language_by_url_name(request.path.split("/")[1]) or _wanted()


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


def _before() -> int | None:
    text = request.args.get("before", "")
    if not text:
        return None
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else abort(404)


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
