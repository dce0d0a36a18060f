"""Who did what to which release, written in the transaction that does it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from service.clock import new_id
from service.model import ApiKey, AuditEntry, Release
from service.storage import Transaction
from service.storage.audit import insert_entry

# The actor where no key is behind an action: a schedule that came due, a swap of the feeds.
SERVICE = None


def record(
    tx: Transaction, action: str, release: Release, at: datetime, by: ApiKey | None, **details: Any
) -> None:
    insert_entry(tx, AuditEntry(
        id=new_id(), at=at, action=action, release_id=release.id, revision=release.revision,
        actor=by.name if by else "diglot", key_id=by.id if by else None, details=details,
    ))
