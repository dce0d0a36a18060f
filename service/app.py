"""Wiring only: the parts of the web service put together. Imported by nobody but its entry points."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

from flask import Flask, Response, abort, request
from werkzeug.exceptions import HTTPException
from werkzeug.routing import RequestRedirect

from service.api import (
    audit,
    docs,
    health,
    history,
    hub,
    keys,
    media,
    notices,
    previews,
    releases,
    replays,
    subscriptions,
)
from service.api.auth import guard
from service.api.problems import answer_http_error, install_problems
from service.api.query import check_query
from service.edge import Services, install
from service.representations import SAFETY_HEADERS
from service.web import failures, routes, unsubscribing
from service.web import media as web_media
from service.web import previews as web_previews


def create_app(services: Services) -> Flask:
    """The WSGI application over these parts."""
    app = Flask("service", static_folder="web/static", static_url_path="/static")
    app.config["MAX_CONTENT_LENGTH"] = services.settings.max_body_bytes
    app.json.ensure_ascii = False  # type: ignore[attr-defined]
    app.json.sort_keys = False  # type: ignore[attr-defined]
    install(app, services)
    install_problems(app)
    app.register_error_handler(404, answer_missing)
    app.before_request(refuse_nul)
    app.before_request(guard)
    app.before_request(check_query)
    app.after_request(leave_nothing_untyped)
    app.after_request(add_safety_headers)
    app.after_request(stay_on_host)
    # Called first, for the last registered is.
    app.after_request(failures.show_to_people)
    for part in (
        releases, history, previews, media, subscriptions, notices, replays, hub, keys, audit, health, docs, web_media,
        web_previews, unsubscribing, routes,
    ):
        app.register_blueprint(part.blueprint)
    app.register_blueprint(docs.swagger_ui)
    return app


def refuse_nul() -> None:
    """No text in PostgreSQL can hold U+0000, so nothing is found by it either."""
    if "\0" in request.path or any("\0" in value for _, value in request.args.items(multi=True)):
        abort(400)


def answer_missing(error: HTTPException) -> Response:
    """A page for people, a problem for programs."""
    return routes.missing_page() if routes.is_for_people() else answer_http_error(error)


def leave_nothing_untyped(response: Response) -> Response:
    """Flask says HTML of an empty answer too; a type belongs to content alone (RFC 9110 section 8.3)."""
    if response.status_code in (202, 204) and response.calculate_content_length() == 0:
        del response.headers["Content-Type"]
    return response


def add_safety_headers(response: Response) -> Response:
    """Outside bytes stay outside: pages run no script, and nothing is sniffed into another type."""
    for name, value in SAFETY_HEADERS.items():
        response.headers.setdefault(name, value)
    if response.mimetype == "text/html" and not request.path.startswith("/docs/"):
        response.headers.setdefault(
            "Content-Security-Policy",
            "default-src 'none'; style-src 'self'; img-src https: http: data:; base-uri 'none'; form-action 'none'; "
            "frame-ancestors 'none'",
        )
    return response


def stay_on_host(response: Response) -> Response:
    """Werkzeug's own redirects name the host of the request, which may lie, and which a cache would keep."""
    error = request.routing_exception
    if isinstance(error, RequestRedirect):
        parts = urlsplit(error.new_url)
        response.headers["Location"] = urlunsplit(("", "", parts.path, parts.query, ""))
        response.data = b""
    return response
