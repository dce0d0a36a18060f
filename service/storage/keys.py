"""API keys, of which only a digest is kept."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from service.model import ApiKey, Role
from service.storage.tables import api_keys


def insert_key(tx: sa.Connection, key: ApiKey, digest: str) -> None:
    tx.execute(api_keys.insert().values(
        id=key.id, name=key.name, role=key.role, partner=key.partner, digest=digest, created_at=key.created_at,
    ))


def find_live_key(tx: sa.Connection, digest: str) -> ApiKey | None:
    """The key with this digest, unless it is revoked."""
    row = tx.execute(sa.select(api_keys).where(api_keys.c.digest == digest, api_keys.c.revoked_at.is_(None))).first()
    return _key(row) if row else None


def revive_key(tx: sa.Connection, digest: str) -> bool:
    """Whether there is a key with this digest, which now is live."""
    return tx.execute(api_keys.update().where(api_keys.c.digest == digest).values(revoked_at=None)).rowcount == 1


def has_live_admin(tx: sa.Connection) -> bool:
    where = (api_keys.c.role == Role.ADMIN, api_keys.c.revoked_at.is_(None))
    return tx.execute(sa.select(sa.exists().where(*where))).scalar_one()


def list_keys(tx: sa.Connection, *, limit: int, before: uuid.UUID | None = None) -> list[ApiKey]:
    """Newest first, the revoked among them."""
    query = sa.select(api_keys).order_by(api_keys.c.id.desc()).limit(limit)
    return [_key(row) for row in tx.execute(query.where(api_keys.c.id < before) if before else query)]


def revoke_key(tx: sa.Connection, key_id: uuid.UUID, now: datetime) -> bool:
    """Whether there was such a live key."""
    change = api_keys.update().where(api_keys.c.id == key_id, api_keys.c.revoked_at.is_(None))
    return tx.execute(change.values(revoked_at=now)).rowcount == 1


def revoke_named(tx: sa.Connection, name: str, now: datetime) -> None:
    tx.execute(api_keys.update().where(api_keys.c.name == name, api_keys.c.revoked_at.is_(None)).values(revoked_at=now))


def _key(row: Any) -> ApiKey:
    return ApiKey(
        id=row.id, name=row.name, role=Role(row.role), partner=row.partner,
        created_at=row.created_at, revoked_at=row.revoked_at,
    )
