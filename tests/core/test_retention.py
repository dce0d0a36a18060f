"""What was exchanged goes after thirty days, the oldest first; who got what and when stays."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from bench.archive import analyse
from service import retention
from service.exchanges import KEPT_FOR
from service.retention import clear_exchanges
from service.storage import Storage, deliveries
from service.storage.tables import attempts
from tests.conftest import StoppedClock
from tests.core.backlog import load_deliveries, load_subscriptions
from tests.meter import metered

DAY = timedelta(days=1)
# A batch of a hundred and its updates, of thousands.
MOST_ROWS = 600
EXCHANGE = ("request_headers", "response_headers", "response_body")


def load_attempts(storage: Storage, clock: StoppedClock, count: int, step: timedelta) -> tuple[uuid.UUID, uuid.UUID]:
    """One subscription and its delivery, with `count` attempts of which each began a `step` after the last."""
    [subscription_id] = load_subscriptions(storage, clock(), 1)
    [delivery_id] = load_deliveries(storage, clock(), [subscription_id])
    rows: list[dict[str, Any]] = [
        {"delivery_id": delivery_id, "number": number, "started_at": clock() + number * step, "duration_ms": 5,
         "status": 503, "request_headers": {"webhook-id": "x"}, "response_headers": {"server": "x"},
         "response_body": "away"}
        for number in range(count)
    ]
    with storage.write() as tx:
        tx.execute(attempts.insert(), rows)
    return subscription_id, delivery_id


def test_the_oldest_are_cleared_first_and_only_those_whose_time_is_over(
    storage: Storage, clock: StoppedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    subscription_id, delivery_id = load_attempts(storage, clock, 4, DAY)
    monkeypatch.setattr(retention, "BATCH", 2)
    clock.now += KEPT_FOR
    assert clear_exchanges(storage, clock()) == 0
    clock.now += 2 * DAY + timedelta(seconds=1)
    now = clock()
    assert [clear_exchanges(storage, now), kept(storage)] == [2, [2, 3]]
    assert [clear_exchanges(storage, now), kept(storage)] == [1, [3]]
    assert [clear_exchanges(storage, now), kept(storage)] == [0, [3]]
    with storage.read() as tx:
        found = deliveries.find_exchanges(tx, delivery_id, subscription_id)
    assert found
    assert [attempt.exchange_cleared_at for attempt in found.attempts] == [now, now, now, None]
    assert [(attempt.number, attempt.status, attempt.duration_ms) for attempt in found.attempts] == [
        (number, 503, 5) for number in range(4)
    ]


def kept(storage: Storage) -> list[int]:
    """The numbers of the attempts of which anything is left."""
    is_left = sa.or_(*(attempts.c[name].is_not(None) for name in EXCHANGE))
    with storage.read() as tx:
        return list(tx.execute(sa.select(attempts.c.number).where(is_left).order_by(attempts.c.number)).scalars())


def test_clearing_reads_no_more_than_it_clears(
    storage: Storage, clock: StoppedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many are kept, and however many have been cleared."""
    load_attempts(storage, clock, 6000, timedelta(minutes=1))
    monkeypatch.setattr(retention, "BATCH", 3000)
    clock.now += KEPT_FOR + timedelta(minutes=3000)
    assert clear_exchanges(storage, clock()) == 3000
    analyse(storage)
    monkeypatch.setattr(retention, "BATCH", 100)
    with metered(storage) as rows:
        assert clear_exchanges(storage, clock()) == 0
        clock.advance(minutes=2000)
        assert clear_exchanges(storage, clock()) == 100
    assert not [f"{count} rows: {statement}" for statement, count in rows.items() if count > MOST_ROWS]
