"""Signs of life."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from service.storage.tables import heartbeats


def keep_heartbeat(tx: sa.Connection, name: str, now: datetime) -> None:
    if tx.execute(heartbeats.update().where(heartbeats.c.name == name).values(beat_at=now)).rowcount == 0:
        tx.execute(heartbeats.insert().values(name=name, beat_at=now))


def find_heartbeat(tx: sa.Connection, name: str) -> datetime | None:
    return tx.execute(sa.select(heartbeats.c.beat_at).where(heartbeats.c.name == name)).scalar()
