"""One tree of errors. None of them knows HTTP; `api.problems` maps each to a status."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing wrong with a document.

    ``pointer`` is a JSON Pointer (RFC 6901); ``code`` is stable and names a sentence in the
    message catalogue, which ``params`` fill.
    """

    pointer: str
    code: str
    params: Mapping[str, Any] = field(default_factory=dict)

    @property
    def place(self) -> list[tuple[int, str]]:
        """Sorts faults as lists do: `/categories/2` comes before `/categories/10`."""
        return [(len(step) if step.isdecimal() else 0, step) for step in self.pointer.split("/")]


class DiglotError(Exception):
    """``code`` names the problem and its sentences in the message catalogue."""

    code = "internal"

    def __init__(self, **params: Any) -> None:
        super().__init__(self.code, params)
        self.params = params


class Invalid(DiglotError):
    """A document breaks its schema or a rule. ``faults`` holds all of them, in the order of their places."""

    code = "invalid"

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__(count=len(faults))
        self.faults = tuple(sorted(faults, key=lambda fault: fault.place))

    def __str__(self) -> str:
        return "; ".join(f"{fault.pointer or '/'}: {fault.code} {dict(fault.params)}" for fault in self.faults)


class NotFound(DiglotError):
    """``kind`` and ``id`` say what was looked for."""

    code = "not_found"


class Conflict(DiglotError):
    """The request contradicts what is stored."""

    code = "conflict"


class IdempotencyKeyReused(Conflict):
    """The same Idempotency-Key came with another body."""

    code = "idempotency_key_reused"


class StorageUnavailable(DiglotError):
    """The database is locked, full or away; nothing of the transaction was kept."""

    code = "storage_unavailable"


class SecretUnreadable(DiglotError):
    """A stored secret was sealed by a key that isn't among ours, or changed since. ``key`` is that key's name."""

    code = "secret_unreadable"


class ConfigurationError(DiglotError):
    """The environment or the newsroom profile can't be used."""

    code = "configuration"


class Unrenderable(DiglotError):
    """An entry breaks the feed formats. ``entry_id`` names it, ``reason`` says why."""

    code = "unrenderable"
