"""Who may call what. Every route names its role or stands in `PUBLIC`; there is no third way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from flask import current_app, g, request

from service.edge import find_bearer
from service.errors import DiglotError
from service.model import Role

View = TypeVar("View", bound=Callable[..., Any])

# Endpoints that anybody may call: what readers, probes and the documentation need.
PUBLIC = frozenset({
    "static", "docs.describe", "swagger_ui.show",
    "health.healthz", "health.readyz", "hub.post_hub", "hub.get_hub",
    "web.home", "web.list_page", "web.feeds_page", "web.release_page", "web.problem_page", "web.feed", "web.archive",
    "web.sitemap_index", "web.sitemap", "web.robots", "web.favicon", "web_media.medium",
    "unsubscribing.ask", "unsubscribing.unsubscribe", "web_previews.preview",
})


class Unauthorized(DiglotError):
    """No live API key came with the request."""

    code = "unauthorized"


class ForeignPartner(DiglotError):
    """A partner's key acts for its own ``partner`` alone."""

    code = "foreign_partner"


class Forbidden(DiglotError):
    """The key is live, but its role is too small. ``role`` names those that would do."""

    code = "forbidden"


def requires(*roles: Role) -> Callable[[View], View]:
    """Mark a view as open to these roles; an admin may do everything."""

    def mark(view: View) -> View:
        view.diglot_roles = frozenset({*roles, Role.ADMIN})  # type: ignore[attr-defined]
        return view

    return mark


def guard() -> None:
    """Before each request: let in who may call the view. Raises Unauthorized or Forbidden."""
    if request.endpoint is None or request.endpoint in PUBLIC:
        return
    roles: frozenset[Role] = getattr(current_app.view_functions[request.endpoint], "diglot_roles", frozenset())
    key = find_bearer()
    if key is None:
        raise Unauthorized()
    if key.role not in roles:
        raise Forbidden(role=sorted(role.value for role in roles))
    g.caller = key
