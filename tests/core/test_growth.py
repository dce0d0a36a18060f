"""What one release costs doesn't grow with those before it, on either database."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from bench.archive import analyse, load_releases
from service.clock import new_id, utc_now
from service.config import Profile
from service.deliveries import plan_due
from service.hub import end_expired, plan_feeds
from service.model import NO_SECRET, Channel, DeliveryState, EventType, Subscription, SubscriptionState
from service.publishing import publish_due
from service.releases import publish_scheduled
from service.retention import clear_exchanges
from service.storage import Storage, claims, deliveries, events, lines, notices, releases, slots, websub
from service.storage import subscriptions as stored
from service.storage.tables import attempts, payloads
from service.storage.tables import deliveries as delivery_rows
from service.storage.tables import events as event_rows
from service.subscriptions import subscribe
from tests.conftest import VAULT, StoppedClock, lend_database
from tests.meter import metered
from tests.services.postgres import Postgres

RELEASES = 5000
OLD = 2000
# A swap looks at a few hundred rows in one statement; what grows looks at thousands.
MOST_ROWS = 600
IN_BOTH = {"zh-Hans": "数字有误", "en": "A figure was wrong"}


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def pattern(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, profile: Profile
) -> Iterator[str]:
    """One with thousands of releases, a partner who was sent all of them, and a reader who was sent every state."""
    with lend_database(request, request.param, tmp_path_factory.mktemp("old") / "diglot.sqlite3") as url:
        storage = Storage(url, vault=VAULT)
        load_releases(storage, profile, RELEASES)
        publish_due(storage, profile, utc_now)
        _send_every_state(storage)
        order = {"partner": "P", "channel": "webhook", "callback": "http://127.0.0.1/", "languages": ["en"]}
        _deliver_everything(storage, subscribe(storage, order, utc_now()).id)
        analyse(storage)
        storage.close()
        yield url


@pytest.fixture
def database_url(request: pytest.FixtureRequest, pattern: str, tmp_path: Path) -> str:
    """Each test has a copy of its own."""
    made = sa.make_url(pattern)
    if made.get_backend_name() == "postgresql":
        server: Postgres = request.getfixturevalue("postgres")
        return server.create_database(pattern)
    copied = shutil.copyfile(str(made.database), tmp_path / "diglot.sqlite3")
    return f"sqlite:///{copied}"


@pytest.fixture
def old_newsroom(storage: Storage, clock: StoppedClock) -> Storage:
    clock.now = utc_now()
    return storage


def test_publishing_correcting_and_withdrawing_read_no_more_than_they_change(
    old_newsroom: Storage, profile: Profile, clock: StoppedClock, client: FlaskClient, staff: dict[str, str],
    release_document: dict[str, Any],
) -> None:
    with old_newsroom.read() as tx:
        first, second = releases.list_positions(tx, OLD, OLD + 1)
    headers = staff | {"If-Match": "*"}
    correction, withdrawal = release_document | {"change_note": IN_BOTH}, {"reason": IN_BOTH}
    with _bounded(old_newsroom):
        assert client.post("/v1/releases", json=release_document, headers=staff).status_code == 201
        _work(old_newsroom, profile, clock)
        assert client.put(f"/v1/releases/{first.id}", json=correction, headers=headers).status_code == 200
        _work(old_newsroom, profile, clock)
        assert client.post(f"/v1/releases/{second.id}/withdraw", json=withdrawal, headers=headers).status_code == 200
        _work(old_newsroom, profile, clock)
    with old_newsroom.read() as tx:
        first, second = releases.list_positions(tx, OLD, OLD + 1)
    assert first.public_revision == 2 and second.withdrawn_at


def test_what_readers_fetch_reads_no_more_than_it_shows(old_newsroom: Storage, client: FlaskClient) -> None:
    with old_newsroom.read() as tx:
        [release] = releases.list_positions(tx, OLD, OLD)
        number = slots.find_last_numbers(tx, ["visits"])["visits"] // 25
    assert number > 25, "the category holds more than may be read in one go"
    last = f"/feeds/en/visits/archive/{number}.atom"
    paths = [
        "/zh/", "/zh/?before=26", "/feeds/zh.atom", "/feeds/zh/visits.json", "/feeds/en/archive/1.atom",
        f"/feeds/en/archive/{RELEASES // 25}.json", "/feeds/zh/visits/archive/1.json", last,
        f"/en/releases/{release.slug}", "/sitemap.xml",
    ]
    with _bounded(old_newsroom):
        for path in paths:
            assert client.get(path).status_code == 200, path
        assert client.get("/en/releases/none-such").status_code == 404


def test_what_staff_list_reads_no_more_than_it_shows(
    old_newsroom: Storage, client: FlaskClient, admin: dict[str, str]
) -> None:
    with old_newsroom.read() as tx:
        [release] = releases.list_positions(tx, OLD, OLD)
        [subscription_id] = deliveries.list_receivers(tx, release.id, limit=2, before=None)
    lists = ("audit", "deliveries", "receipts", "revisions")
    paths = [
        "/v1/releases", "/v1/audit", f"/v1/subscriptions/{subscription_id}/deliveries",
        *(f"/v1/releases?{query}" for query in ("state=draft", "state=published&language=en")),
        *(f"/v1/releases/{release.id}/{name}" for name in lists),
    ]
    with _bounded(old_newsroom):
        for path in paths:
            assert client.get(path, headers=admin).status_code == 200, path


@contextmanager
def _bounded(storage: Storage) -> Iterator[None]:
    with metered(storage) as rows:
        yield
    assert not [f"{count} rows: {statement}" for statement, count in rows.items() if count > MOST_ROWS]


def _work(storage: Storage, profile: Profile, clock: StoppedClock) -> None:
    """What a nudged worker, its courier and the sweep ask the database for."""
    clock.advance(seconds=2)
    publish_scheduled(storage, clock())
    publish_due(storage, profile, clock)
    assert plan_due(storage, profile, clock)
    assert plan_feeds(storage, clock)
    assert end_expired(storage, clock()) == 0
    assert clear_exchanges(storage, clock()) == 0
    with storage.read() as tx:
        events.list_unpublished(tx, limit=1)
        events.find_unplanned(tx)
        events.list_unplanned_feeds(tx, limit=1)
        assert not websub.has_due(tx, clock())
        assert not notices.has_due(tx, clock())
        assert lines.is_any_due(tx, clock())
        releases.find_next_publish_at(tx)
    with storage.write() as tx:
        assert claims.hold_due(tx, "worker", limit=50, now=clock(), until=clock() + timedelta(seconds=1)).read()


def _send_every_state(storage: Storage) -> None:
    """Of one feed, by WebSub."""
    now = utc_now()
    reader = Subscription(
        id=new_id(), partner="r", channel=Channel.WEBSUB, callback="http://127.0.0.1/", languages=("en",),
        categories=(), secret=NO_SECRET, state=SubscriptionState.ACTIVE, created_at=now, topic="/feeds/en.atom",
        lease_until=now + timedelta(days=30),
    )
    states = [
        {"id": new_id(), "type": EventType.FEED_CHANGED, "created_at": now - timedelta(seconds=number),
         "published_at": now, "planned_at": now}
        for number in range(RELEASES)
    ]
    with storage.write() as tx:
        stored.insert_subscription(tx, reader)
        tx.execute(event_rows.insert(), states)
        tx.execute(delivery_rows.insert(), [
            {"id": new_id(), "event_id": state["id"], "subscription_id": reader.id, "payload_id": None,
             "state": DeliveryState.DELIVERED, "created_at": now, "delivered_at": now, "attempt": 1}
            for state in states
        ])


def _deliver_everything(storage: Storage, subscription_id: uuid.UUID) -> None:
    now = utc_now()
    with storage.write() as tx:
        owed = [
            {"id": new_id(), "event_id": event_id, "subscription_id": subscription_id, "payload_id": new_id(),
             "state": DeliveryState.DELIVERED, "created_at": now, "delivered_at": now, "attempt": 1}
            for event_id in tx.execute(sa.select(event_rows.c.id)).scalars()
        ]
        tx.execute(payloads.insert(), [
            {"id": row["payload_id"], "event_id": row["event_id"], "variant": "en", "body": b"{}"} for row in owed
        ])
        tx.execute(delivery_rows.insert(), owed)
        tx.execute(attempts.insert(), [
            {"delivery_id": row["id"], "number": 1, "started_at": now, "duration_ms": 1, "status": 204} for row in owed
        ])
