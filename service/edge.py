"""What both HTTP edges share: the objects of the running service, and who calls in which language."""

from __future__ import annotations

from dataclasses import dataclass, field

from flask import current_app, g, request

from service.clock import Clock
from service.config import Profile, Settings
from service.memory import Memory
from service.messages import UiLanguage
from service.model import ApiKey
from service.queue import Queue
from service.storage import Storage

_EXTENSION = "diglot"


@dataclass(frozen=True, slots=True)
class Services:
    """All that a view may use; tests put other parts in."""

    settings: Settings
    profile: Profile
    storage: Storage
    queue: Queue
    clock: Clock
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


def speech() -> UiLanguage:
    """The language of sentences for this caller: `zh` or `en` (RFC 9110 section 12.5.4)."""
    return "zh" if request.accept_languages.best_match(["en", "zh"], default="en") == "zh" else "en"
