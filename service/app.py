"""Wiring only: the parts of the web service put together. Imported by nobody but its entry points."""

from __future__ import annotations

from flask import Flask, Response, request

from service.api import audit, docs, health, history, keys, releases, subscriptions
from service.api.auth import guard
from service.api.problems import install_problems
from service.edge import Services, install
from service.representations import SAFETY_HEADERS
from service.web import routes


def create_app(services: Services) -> Flask:
    """The WSGI application over these parts."""
    app = Flask("service", static_folder="web/static", static_url_path="/static")
    app.config["MAX_CONTENT_LENGTH"] = services.settings.max_body_bytes
    app.json.ensure_ascii = False  # type: ignore[attr-defined]
    app.json.sort_keys = False  # type: ignore[attr-defined]
    install(app, services)
    install_problems(app)
    app.before_request(guard)
    app.after_request(add_safety_headers)
    for part in (releases, history, subscriptions, keys, audit, health, docs, routes):
        app.register_blueprint(part.blueprint)
    app.register_blueprint(docs.swagger_ui)
    return app


def add_safety_headers(response: Response) -> Response:
    """Outside bytes stay outside: pages run no script, and nothing is sniffed into another type."""
    for name, value in SAFETY_HEADERS.items():
        response.headers.setdefault(name, value)
    if response.mimetype == "text/html" and not request.path.startswith("/docs/"):
        response.headers["Content-Security-Policy"] = (
            "default-src 'none'; style-src 'self'; img-src https: http: data:; base-uri 'none'; form-action 'none'; "
            "frame-ancestors 'none'"
        )
    return response
