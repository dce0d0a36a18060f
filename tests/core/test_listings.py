"""What a partner or the desk lists costs what the page shows, however much others were sent since."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from bench.archive import analyse
from service.clock import new_id
from service.model import DeliveryState, EventType
from service.storage import Storage, deliveries
from service.storage.tables import deliveries as rows
from service.storage.tables import events, payloads, releases
from tests.conftest import StoppedClock
from tests.core.backlog import load_subscriptions
from tests.meter import metered

# So many that a database may hope to meet the quiet one's soon while it walks through everybody's.
OTHERS, EARLY, LATE = 4, 5000, 5000
RECEIVERS = 3000
PAGE, PAGES = 10, 3
# A page, the tables that its rows name, and each index on the way.
MOST_ROWS = 20 * PAGE


@pytest.fixture
def quiet(storage: Storage, clock: StoppedClock) -> uuid.UUID:
    """One that was sent the first events of a newsroom, beside others that were sent the later ones."""
    quiet, *others = load_subscriptions(storage, clock(), OTHERS + 1)
    send(storage, clock, EARLY, [quiet])
    send(storage, clock, LATE, others)
    analyse(storage)
    return quiet


def send(
    storage: Storage, clock: StoppedClock, count: int, subscription_ids: list[uuid.UUID], release_id: Any = None
) -> None:
    """So many events, each delivered to all of these."""
    now, event_ids = clock(), [new_id() for _ in range(count)]
    common = {"state": DeliveryState.DELIVERED, "created_at": now, "delivered_at": now, "attempt": 1}
    with storage.write() as tx:
        tx.execute(events.insert(), [
            {"id": event_id, "type": EventType.RELEASE_CORRECTED, "created_at": now, "planned_at": now,
             "published_at": now, "release_id": release_id}
            for event_id in event_ids
        ])
        # Of one event and one variant, so they may share the event's id.
        tx.execute(payloads.insert(), [
            {"id": event_id, "event_id": event_id, "variant": "en", "body": b"{}"} for event_id in event_ids
        ])
        tx.execute(rows.insert(), [
            {"id": new_id(), "event_id": event_id, "payload_id": event_id, "subscription_id": subscription_id, **common}
            for event_id in event_ids for subscription_id in subscription_ids
        ])


def page_through(storage: Storage, read: Callable[[sa.Connection, Any], list[Any]]) -> list[uuid.UUID]:
    """The ids of some pages, each of which looks at no more than it shows."""
    found: list[uuid.UUID] = []
    with metered(storage) as counts, storage.read() as tx:
        for _ in range(PAGES):
            page = read(tx, found[-1] if found else None)
            assert len(page) == PAGE
            found += [getattr(each, "id", each) for each in page]
    assert not [f"{count} rows: {statement}" for statement, count in counts.items() if count > MOST_ROWS]
    return found


def test_a_quiet_partner_lists_its_deliveries_without_those_of_others(storage: Storage, quiet: uuid.UUID) -> None:
    def read(tx: sa.Connection, before: Any) -> list[Any]:
        return deliveries.list_for_subscription(tx, quiet, limit=PAGE, before=before)

    found = page_through(storage, read)
    with storage.read() as tx:
        query = sa.select(rows.c.id).where(rows.c.subscription_id == quiet).order_by(rows.c.id.desc())
        assert found == list(tx.execute(query.limit(PAGES * PAGE)).scalars())


def test_the_receivers_of_a_release_are_read_page_by_page(storage: Storage, clock: StoppedClock) -> None:
    """Not all of them for each page; and each once, whatever it was sent of the release."""
    subscription_ids = load_subscriptions(storage, clock(), RECEIVERS)
    release_id = new_id()
    with storage.write() as tx:
        tx.execute(releases.insert().values(
            id=release_id, slug="x", state="corrected", revision=2, created_at=clock(), updated_at=clock(),
        ))
    send(storage, clock, 2, subscription_ids, release_id)
    send(storage, clock, LATE, load_subscriptions(storage, clock(), OTHERS))
    analyse(storage)

    def read(tx: sa.Connection, before: Any) -> list[Any]:
        return deliveries.list_receivers(tx, release_id, limit=PAGE, before=before)

    assert page_through(storage, read) == subscription_ids[:-PAGES * PAGE - 1:-1]
