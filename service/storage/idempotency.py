"""Idempotency-Key: which release a caller's key was first used for."""

from __future__ import annotations

import uuid
from datetime import datetime

import sqlalchemy as sa

from service.storage.tables import idempotency_keys


def find_idempotent(tx: sa.Connection, api_key_id: uuid.UUID, key: str) -> tuple[str, uuid.UUID] | None:
    """The body's digest and the release that this caller's key was first used for."""
    columns = (idempotency_keys.c.digest, idempotency_keys.c.release_id)
    where = (idempotency_keys.c.api_key_id == api_key_id, idempotency_keys.c.key == key)
    row = tx.execute(sa.select(*columns).where(*where)).first()
    return (row.digest, row.release_id) if row else None


def keep_idempotent(
    tx: sa.Connection, api_key_id: uuid.UUID, key: str, digest: str, release_id: uuid.UUID, now: datetime
) -> None:
    tx.execute(idempotency_keys.insert().values(
        api_key_id=api_key_id, key=key, digest=digest, release_id=release_id, created_at=now,
    ))
