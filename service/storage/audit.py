"""Who did what to which release. Rows are only ever added: the database refuses anything else."""

from __future__ import annotations

import uuid

import sqlalchemy as sa

from service.model import AuditEntry
from service.storage.tables import audit


def insert_entry(tx: sa.Connection, entry: AuditEntry) -> None:
    values = {name: getattr(entry, name) for name in AuditEntry.__slots__}
    tx.execute(audit.insert().values(**values | {"details": dict(entry.details)}))


def list_entries(
    tx: sa.Connection, *, limit: int, before: uuid.UUID | None = None, release_id: uuid.UUID | None = None
) -> list[AuditEntry]:
    """Newest first; `release_id` narrows to one release."""
    query = sa.select(audit).order_by(audit.c.id.desc()).limit(limit)
    if before:
        query = query.where(audit.c.id < before)
    if release_id:
        query = query.where(audit.c.release_id == release_id)
    return [AuditEntry(**row) for row in tx.execute(query).mappings()]
