"""What was exchanged at an attempt is cleared after a while; the attempt itself is the receipt, and stays."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from service.storage.tables import attempts

_IS_KEPT = attempts.c.exchange_cleared_at.is_(None)


def has_exchanges(tx: sa.Connection, before: datetime) -> bool:
    """Whether any are kept of attempts that began earlier."""
    oldest = tx.execute(sa.select(sa.func.min(attempts.c.started_at)).where(_IS_KEPT)).scalar()
    return oldest is not None and oldest < before


def clear_exchanges(tx: sa.Connection, before: datetime, now: datetime, *, limit: int) -> int:
    """Those of attempts that began earlier, the oldest first. Returns how many."""
    query = sa.select(attempts.c.delivery_id, attempts.c.number).where(_IS_KEPT, attempts.c.started_at < before)
    query = query.order_by(attempts.c.started_at).limit(limit).with_for_update(skip_locked=True)
    rows = [{"of": row.delivery_id, "nth": row.number} for row in tx.execute(query)]
    if rows:
        change = attempts.update().where(
            attempts.c.delivery_id == sa.bindparam("of"), attempts.c.number == sa.bindparam("nth")
        )
        tx.execute(change.values(
            request_headers=sa.null(), response_headers=sa.null(), response_body=None, exchange_cleared_at=now,
        ), rows)
    return len(rows)
