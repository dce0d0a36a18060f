"""Who calls, and what is kept secret."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Role(StrEnum):
    STAFF = "staff"
    PARTNER = "partner"
    ADMIN = "admin"


class Secret:
    """A text that `reveal` alone shows: no repr, log or JSON does. ``open_`` turns what is ``kept`` into the text."""

    __slots__ = ("_open", "kept")

    def __init__(self, kept: str, open_: Callable[[str], str] = str) -> None:
        self.kept, self._open = kept, open_

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self.kept == other.kept

    def __hash__(self) -> int:
        return hash(self.kept)

    def reveal(self) -> str:
        """Raises SecretUnreadable if it is sealed by a key that we don't have."""
        return self._open(self.kept)


NO_SECRET = Secret("")


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """Who calls. ``partner`` names whose subscriptions a partner key may touch."""

    id: uuid.UUID
    name: str
    role: Role
    created_at: datetime
    partner: str | None = None
    revoked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Pass:
    """Lets whoever has its ``token`` see this revision of this release, and no other, until then."""

    token: str
    release_id: uuid.UUID
    revision: int
    expires_at: datetime
