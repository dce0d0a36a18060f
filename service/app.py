"""Wiring only: the parts of the web service put together. Imported by nobody but its entry points."""

from __future__ import annotations

from flask import Flask, Response, abort, request

from service.api import audit, docs, health, history, keys, media, releases, subscriptions
from service.api.auth import guard
from service.api.problems import install_problems
from service.edge import Services, install
from service.web import media as web_media
from service.web import routes


def create_app(services: Services) -> Flask:
    """The WSGI application over these parts."""
    app = Flask("service", static_folder="web/static", static_url_path="/static")
    app.config["MAX_CONTENT_LENGTH"] = services.settings.max_body_bytes
    app.json.ensure_ascii = False  # type: ignore[attr-defined]
    app.json.sort_keys = False  # type: ignore[attr-defined]
    install(app, services)
    install_problems(app)
    app.before_request(refuse_nul)
    app.before_request(guard)
    app.after_request(add_safety_headers)
    for part in (releases, history, media, subscriptions, keys, audit, health, docs, web_media, routes):
        app.register_blueprint(part.blueprint)
    app.register_blueprint(docs.swagger_ui)
    return app


def refuse_nul() -> None:
    """No text in PostgreSQL can hold U+0000, so nothing is found by it either."""
    if "\0" in request.path or any("\0" in value for _, value in request.args.items(multi=True)):
        abort(400)


def add_safety_headers(response: Response) -> Response:
    """Outside bytes stay outside: pages run no script, and nothing is sniffed into another type."""
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Referrer-Policy", "strict-origin-when-cross-origin")
    if response.mimetype == "text/html" and not request.path.startswith("/docs/"):
        response.headers["Content-Security-Policy"] = (
            "default-src 'none'; style-src 'self'; img-src https: http: data:; base-uri 'none'; form-action 'none'; "
            "frame-ancestors 'none'"
        )
    return response
