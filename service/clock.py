"""Time and identity: the only places where the core asks what it can't compute."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime

import uuid_utils.compat

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    return datetime.now(UTC)


def new_id() -> uuid.UUID:
    """A UUIDv7 (RFC 9562 section 5.7): ids made later sort later."""
    return uuid_utils.compat.uuid7()
