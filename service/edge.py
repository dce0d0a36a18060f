"""What both HTTP edges share: the objects of the running service, and who calls in which language."""

from __future__ import annotations

from dataclasses import dataclass, field

from flask import current_app, g, request

from service import keys
from service.clock import Clock
from service.config import Profile, Settings
from service.drawing import DrawingRoom
from service.memory import Memory
from service.messages import UiLanguage, find_language
from service.model import ApiKey
from service.queue import Queue
from service.storage import Storage

MOST_LANGUAGES = 20
_EXTENSION = "diglot"


@dataclass(frozen=True, slots=True)
class Services:
    """All that a view may use; tests put other parts in."""

    settings: Settings
    profile: Profile
    storage: Storage
    queue: Queue
    clock: Clock
    drawing_room: DrawingRoom = field(default_factory=DrawingRoom)
    memory: Memory = field(default_factory=Memory)


def install(app: object, services: Services) -> None:
    app.extensions[_EXTENSION] = services  # type: ignore[attr-defined]


def services() -> Services:
    found: Services = current_app.extensions[_EXTENSION]
    return found


def caller() -> ApiKey:
    """Whose key came with this request; only where `api.auth` has let it in."""
    key: ApiKey = g.caller
    return key


def find_bearer() -> ApiKey | None:
    """Whose live key came with this request, if one did."""
    authorization = request.authorization
    token = authorization.token if authorization and authorization.type == "bearer" else None
    return keys.find_caller(services().storage, token) if token else None


def speech() -> UiLanguage:
    """The language of sentences for this caller, who wants the first named of several that weigh the same.

    RFC 9110 section 12.5.4. Nobody means more than a few languages, and each costs time to read.
    """
    wanted = (find_language(tag) for tag, quality in request.accept_languages[:MOST_LANGUAGES] if quality > 0)
    return next(filter(None, wanted), "en")
