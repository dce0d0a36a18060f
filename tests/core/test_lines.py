"""Who is sent next: withdrawals, then first tries, then retries, some to each host, at the same cost at any length."""

from __future__ import annotations

import sqlite3
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from bench.archive import analyse
from service.deliveries import plan_test
from service.model import Attempt, Claim, DeliveryState, EventType, Lane
from service.retries import CLAIM, HOST_BURST, HOST_FAILURES, HOST_HOLDS, HOST_ROOM, LONGEST_WAIT, MOMENT, SPREAD, WAITS
from service.storage import Storage, claims, hosts, lines
from service.storage.outcomes import Outcome, make_report, record_outcomes
from service.storage.tables import deliveries
from service.subscriptions import subscribe
from tests.conftest import StoppedClock
from tests.core.backlog import load_deliveries, load_subscriptions
from tests.meter import metered

# Of thirty thousand: one claim wakes, passes and takes a few hundred.
MOST_ROWS = 1500
RETRY = {"attempt": 1, "lane": Lane.AGAIN}


class Couriers:
    """All that claim, in one hand."""

    def __init__(self, storage: Storage, clock: StoppedClock) -> None:
        self.storage, self.clock = storage, clock
        self.after: dict[Lane, str] = {}

    def claim(self, limit: int = 99, retry_limit: int | None = None) -> list[Claim]:
        now = self.clock()
        with self.storage.write() as tx:
            held = claims.hold_due(
                tx, "me", limit=limit, retry_limit=retry_limit, now=now, until=now + CLAIM, after=self.after
            ).read()
        self.after |= {claim.lane: claim.host for claim in held}
        return held

    def record(
        self, held: Claim, status: int | None, error: str | None = None, holds_until: Any = None, wait: float = 5
    ) -> None:
        attempt = Attempt(number=held.attempt, started_at=self.clock(), duration_ms=0, status=status, error=error)
        state = DeliveryState.DELIVERED if status == 204 else DeliveryState.DUE
        again = self.clock() + timedelta(seconds=wait) if status != 204 else None
        outcome = Outcome(
            claim=held, attempt=attempt, state=state, next_attempt_at=again, holds_until=holds_until
        )
        with self.storage.write() as tx:
            assert not record_outcomes(tx, make_report([outcome], tx.dialect))

    def fail(self, times: int, status: int | None = 503, error: str | None = None) -> None:
        """So many attempts in a row."""
        for _ in range(times):
            [held] = self.claim(limit=1, retry_limit=0)
            self.record(held, status, error)


@pytest.fixture
def couriers(storage: Storage, clock: StoppedClock) -> Couriers:
    return Couriers(storage, clock)


def ids(held: list[Claim]) -> list[uuid.UUID]:
    return [claim.delivery_id for claim in held]


def next_times(storage: Storage, owed: list[uuid.UUID]) -> list[Any]:
    with storage.read() as tx:
        query = sa.select(deliveries.c.next_attempt_at).where(deliveries.c.id.in_(owed), deliveries.c.lane.is_(None))
        return list(tx.execute(query).scalars())


def test_a_withdrawal_goes_before_everything(storage: Storage, clock: StoppedClock, couriers: Couriers) -> None:
    owed_to = load_subscriptions(storage, clock(), 3)
    load_deliveries(storage, clock(), owed_to, **RETRY)
    load_deliveries(storage, clock(), owed_to)
    withdrawals = load_deliveries(storage, clock(), owed_to, EventType.RELEASE_WITHDRAWN)
    assert ids(couriers.claim(limit=2)) == withdrawals[:2], "a retry is sent to one who waits for a withdrawal"
    assert ids(couriers.claim()) == withdrawals[2:]


def test_retries_take_no_place_from_first_tries_nor_these_from_them(
    storage: Storage, clock: StoppedClock, couriers: Couriers
) -> None:
    retries = load_deliveries(storage, clock(), load_subscriptions(storage, clock(), 9), **RETRY)
    firsts = load_deliveries(
        storage, clock(), load_subscriptions(storage, clock(), 9, "z{}.example:443".format)
    )
    held = ids(couriers.claim(limit=3, retry_limit=2))
    assert len(held) == 5
    assert set(held[:3]) <= set(firsts) and set(held[3:]) <= set(retries)


def test_a_host_gets_so_many_at_once_from_all_couriers_together(
    storage: Storage, clock: StoppedClock, couriers: Couriers
) -> None:
    load_deliveries(storage, clock(), load_subscriptions(storage, clock(), 3 * HOST_BURST, lambda _: "big:443"))
    load_deliveries(storage, clock(), load_subscriptions(storage, clock(), 2))
    held = couriers.claim(limit=HOST_BURST // 2) + couriers.claim()
    assert Counter(claim.host for claim in held) == {"big:443": HOST_BURST, "h0.example:443": 1, "h1.example:443": 1}
    assert couriers.claim() == []
    couriers.record(held[0], 204)
    assert len(couriers.claim()) == 1


def test_who_is_slow_takes_no_place_from_neighbours_on_its_host_until_there_are_many(
    storage: Storage, clock: StoppedClock, couriers: Couriers
) -> None:
    load_deliveries(storage, clock(), load_subscriptions(storage, clock(), 2 * HOST_ROOM, lambda _: "big:443"))
    in_flight = []
    for _ in range(HOST_ROOM // HOST_BURST):
        in_flight += couriers.claim()
        assert couriers.claim() == []
        clock.now += MOMENT
    assert len(in_flight) == HOST_ROOM
    assert couriers.claim() == []


def test_who_is_slow_and_has_more_in_line_hides_no_neighbour(
    storage: Storage, clock: StoppedClock, couriers: Couriers
) -> None:
    owed_to = load_subscriptions(storage, clock(), 2 * HOST_BURST, lambda _: "big:443")
    for _ in range(3):
        load_deliveries(storage, clock(), owed_to)
    slow = {claim.subscription_id for claim in couriers.claim()}
    clock.now += MOMENT
    others = {claim.subscription_id for claim in couriers.claim()}
    assert len(slow) == len(others) == HOST_BURST and not slow & others


def test_a_retry_and_a_first_try_of_one_subscription_are_not_in_flight_together(
    storage: Storage, clock: StoppedClock, couriers: Couriers
) -> None:
    owed_to = load_subscriptions(storage, clock(), 1)
    load_deliveries(storage, clock(), owed_to, **RETRY)
    load_deliveries(storage, clock(), owed_to)
    assert len(couriers.claim()) == 1
    assert couriers.claim() == []


def test_hosts_have_their_turn_one_after_another(
    storage: Storage, clock: StoppedClock, couriers: Couriers
) -> None:
    """A host whose name comes early in the alphabet, and that always has more, starves none behind it."""
    owed_to = load_subscriptions(storage, clock(), 6)
    load_deliveries(storage, clock(), owed_to)
    load_deliveries(storage, clock(), owed_to)
    served = []
    for _ in range(6):
        [held] = couriers.claim(limit=1, retry_limit=0)
        couriers.record(held, 204)
        served.append(held.subscription_id)
    assert sorted(served) == owed_to


def test_what_waits_gets_in_line_when_its_time_has_come(
    storage: Storage, clock: StoppedClock, couriers: Couriers
) -> None:
    [retried] = load_deliveries(storage, clock(), load_subscriptions(storage, clock(), 1))
    [held] = couriers.claim()
    couriers.record(held, 503, wait=60)
    clock.advance(seconds=59)
    assert couriers.claim(limit=0, retry_limit=9) == []
    clock.advance(seconds=1)
    with storage.read() as tx:
        assert lines.is_any_due(tx, clock())
    assert ids(couriers.claim(limit=0, retry_limit=9)) == [retried]


@pytest.mark.parametrize(("status", "error"), [(503, None), (500, None), (429, None), (None, "connect_failed")])
def test_a_host_that_fails_in_a_row_is_left_alone_then_probed(
    storage: Storage, clock: StoppedClock, couriers: Couriers, status: int | None, error: str | None
) -> None:
    """Nothing is lost: what is put off keeps its tries, and comes once the probe is answered."""
    owed_to = load_subscriptions(storage, clock(), HOST_FAILURES + 20, lambda _: "ill:443")
    owed = load_deliveries(storage, clock(), owed_to)
    couriers.fail(HOST_FAILURES, status, error)
    [well] = load_deliveries(storage, clock(), load_subscriptions(storage, clock(), 1))
    [other] = couriers.claim(retry_limit=0)
    assert other.delivery_id == well
    couriers.record(other, 204)
    put_off = next_times(storage, owed[HOST_FAILURES:])
    assert len(put_off) == 20
    assert clock() + HOST_HOLDS[0] <= min(put_off) and max(put_off) < clock() + HOST_HOLDS[0] + SPREAD
    assert len(set(put_off)) >= 18, "they come back all at once"
    clock.now += HOST_HOLDS[0] + SPREAD
    [probe] = couriers.claim(retry_limit=0)
    assert probe.lane is Lane.FIRST, "what was put off counts as tried"
    assert couriers.claim(retry_limit=0) == []
    couriers.record(probe, 204)
    assert len(couriers.claim(retry_limit=0)) == HOST_BURST


def test_a_probe_that_fails_holds_the_host_for_longer(
    storage: Storage, clock: StoppedClock, couriers: Couriers
) -> None:
    owed_to = load_subscriptions(storage, clock(), HOST_FAILURES + 5, lambda _: "ill:443")
    load_deliveries(storage, clock(), owed_to)
    couriers.fail(HOST_FAILURES)
    clock.now += HOST_HOLDS[0]
    couriers.fail(1)
    with storage.read() as tx:
        [breaker] = hosts.find_breakers(tx, ["ill:443"]).values()
    assert breaker.held_until == clock() + HOST_HOLDS[1]


@pytest.mark.parametrize(("status", "error"), [(404, None), (301, None), (401, None), (None, "address_refused")])
def test_what_tells_of_one_callback_holds_no_host(
    storage: Storage, clock: StoppedClock, couriers: Couriers, status: int | None, error: str | None
) -> None:
    owed_to = load_subscriptions(storage, clock(), HOST_FAILURES + 5, lambda _: "well:443")
    load_deliveries(storage, clock(), owed_to)
    couriers.fail(HOST_FAILURES + 1, status, error)
    assert len(couriers.claim(retry_limit=0)) == 4


def test_one_answer_between_failures_keeps_the_host_open(
    storage: Storage, clock: StoppedClock, couriers: Couriers
) -> None:
    load_deliveries(storage, clock(), load_subscriptions(storage, clock(), 30, lambda _: "so-so:443"))
    couriers.fail(HOST_FAILURES - 1)
    couriers.fail(1, 404)
    couriers.fail(HOST_FAILURES - 1)
    assert couriers.claim(retry_limit=0)


def test_retry_after_holds_all_of_the_subscription_and_nothing_else_of_its_host(
    storage: Storage, clock: StoppedClock, couriers: Couriers
) -> None:
    """On a shared host, one partner's wish is not its neighbour's."""
    asking, neighbour = load_subscriptions(storage, clock(), 2, lambda _: "shared:443")
    load_deliveries(storage, clock(), [asking])
    [next_] = load_deliveries(storage, clock(), [asking])
    [held] = couriers.claim()
    until = clock() + timedelta(hours=1)
    couriers.record(held, 429, holds_until=until, wait=3600)
    [beside] = load_deliveries(storage, clock(), [neighbour])
    [withdrawal] = load_deliveries(storage, clock(), [asking], EventType.RELEASE_WITHDRAWN)
    [other] = couriers.claim()
    assert other.delivery_id == beside
    couriers.record(other, 204)
    clock.advance(minutes=59)
    assert couriers.claim() == []
    clock.now = until + SPREAD
    [first] = couriers.claim()
    assert first.delivery_id == withdrawal
    couriers.record(first, 204)
    assert ids(couriers.claim(retry_limit=0)) == [next_]


def test_a_clock_that_was_set_back_keeps_nothing_waiting_for_ever(
    storage: Storage, clock: StoppedClock, couriers: Couriers
) -> None:
    """Not a claim of then, nor a first try, nor a wait that is longer than any."""
    clock.advance(days=30)
    [claimed] = load_deliveries(storage, clock(), load_subscriptions(storage, clock(), 1, lambda _: "a:1"))
    assert couriers.claim()
    [first] = load_deliveries(storage, clock(), load_subscriptions(storage, clock(), 1, lambda _: "b:1"))
    [waiting] = load_deliveries(
        storage, clock(), load_subscriptions(storage, clock(), 1, lambda _: "c:1"), lane=None, attempt=1
    )
    clock.advance(days=-30)
    with storage.write() as tx:
        lines.wake_misdated(tx, clock())
    assert set(ids(couriers.claim())) == {claimed, first, waiting}


def test_a_host_is_not_held_for_ever_by_a_clock_that_was_set_back(
    storage: Storage, clock: StoppedClock, couriers: Couriers
) -> None:
    load_deliveries(storage, clock(), load_subscriptions(storage, clock(), HOST_FAILURES + 5, lambda _: "ill:443"))
    clock.advance(days=30)
    couriers.fail(HOST_FAILURES)
    clock.advance(days=-30)
    assert len(couriers.claim(retry_limit=0)) == 1


def test_no_wait_is_longer_than_what_counts_as_misdated() -> None:
    assert timedelta(hours=24) * 1.2 < LONGEST_WAIT


@pytest.fixture
def backlog(storage: Storage, clock: StoppedClock) -> Iterator[Storage]:
    """Ten thousand retries of failing partners in line, and as many that wait; one host and one partner with many."""
    failing = load_subscriptions(storage, clock(), 1000, "f{}.example:443".format)
    crowd = load_subscriptions(storage, clock(), 3000, lambda _: "crowd:443")
    for _ in range(10):
        load_deliveries(storage, clock(), failing, **RETRY)
        load_deliveries(
            storage, clock(), failing, attempt=1, lane=None, next_attempt_at=clock() + timedelta(hours=1)
        )
        load_deliveries(storage, clock(), failing[:1] * 1)
    load_deliveries(storage, clock(), crowd)
    analyse(storage)
    yield storage


def test_a_claim_reads_no_more_than_it_takes_whatever_stands_in_line(
    backlog: Storage, clock: StoppedClock, couriers: Couriers
) -> None:
    release = load_deliveries(backlog, clock(), load_subscriptions(backlog, clock(), 50, "n{}.example:443".format))
    statements: list[str] = []

    def count(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    sa.event.listen(backlog.engine, "before_cursor_execute", count)
    with metered(backlog) as rows:
        served = set(ids(couriers.claim(limit=80, retry_limit=20)))
        assert len(served) == 50 + HOST_BURST + 1 + 20
        assert set(release) <= served
        # Now the crowd's host and many partners are taken.
        couriers.claim(limit=80, retry_limit=20)
        with backlog.read() as tx:
            assert lines.is_any_due(tx, clock())
    sa.event.remove(backlog.engine, "before_cursor_execute", count)
    assert not [f"{most} rows: {statement}" for statement, most in rows.items() if most > MOST_ROWS]
    assert len(statements) < 40


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_each_host_has_its_turn_whatever_order_the_database_has(
    storage: Storage, clock: StoppedClock, couriers: Couriers
) -> None:
    """As on a PostgreSQL that sorts by a language; here, by one that knows no capitals."""
    _sort_hosts_without_case(storage)
    for name in ("b", "C"):
        order = {"partner": name, "channel": "webhook", "callback": f"https://{name}.example/", "languages": ["en"]}
        made = subscribe(storage, order, clock())
        plan_test(storage, made, clock())
        with storage.write() as tx:
            tx.execute(deliveries.update().where(deliveries.c.subscription_id == made.id).values(host=name))
    couriers.after[Lane.FIRST] = "C"
    assert {held.host for held in couriers.claim()} == {"b", "C"}


def _sort_hosts_without_case(storage: Storage) -> None:
    with closing(sqlite3.connect(str(storage.engine.url.database), isolation_level=None)) as plain:
        [version] = plain.execute("PRAGMA schema_version").fetchone()
        plain.execute("PRAGMA writable_schema = ON")
        changed = plain.execute(
            "UPDATE sqlite_master SET sql = replace(sql, 'host VARCHAR(260)', 'host VARCHAR(260) COLLATE NOCASE')"
            " WHERE name = 'deliveries' AND sql LIKE '%host VARCHAR(260)%'"
        )
        assert changed.rowcount == 1
        plain.execute(f"PRAGMA schema_version = {version + 1}")
    with closing(sqlite3.connect(str(storage.engine.url.database))) as plain:
        plain.execute("REINDEX deliveries")


def test_what_a_dead_courier_held_is_due_also_after_the_clock_was_set_back(
    storage: Storage, clock: StoppedClock, couriers: Couriers
) -> None:
    order = {"partner": "P", "channel": "webhook", "callback": "https://p.example/", "languages": ["en"]}
    plan_test(storage, subscribe(storage, order, clock()), clock())
    assert couriers.claim()
    clock.advance(hours=-1)
    with storage.read() as tx:
        assert lines.is_any_due(tx, clock())
    assert couriers.claim()


def test_what_dies_with_its_courier_uses_up_no_try_of_the_receivers(
    storage: Storage, clock: StoppedClock, couriers: Couriers
) -> None:
    """A worker that runs out of memory over and over would have used up all within minutes."""
    order = {"partner": "P", "channel": "webhook", "callback": "https://p.example/", "languages": ["en"]}
    plan_test(storage, subscribe(storage, order, clock()), clock())
    for _ in range(len(WAITS) + 1):
        assert [held.lane in (Lane.FIRST, Lane.AGAIN) for held in couriers.claim()] == [True]
        clock.advance(seconds=CLAIM.total_seconds() + 1)
    [held] = couriers.claim()
    assert held.lane is Lane.AGAIN, "what may kill couriers keeps nobody's first try waiting"
    assert held.attempt - held.tries_before == 1


def test_a_withdrawal_that_failed_once_still_goes_before_its_subscriptions_first_tries(
    storage: Storage, clock: StoppedClock, couriers: Couriers
) -> None:
    """When its time has come, nothing newer of other releases goes to whoever is to take it down."""
    order = {"partner": "P", "channel": "webhook", "callback": "https://p.example/", "languages": ["en"]}
    made = [subscribe(storage, order | {"callback": f"https://{name}.example/"}, clock()) for name in "pq"]
    for _ in range(3):
        for subscription in made:
            plan_test(storage, subscription, clock())
    gone = deliveries.c.subscription_id == made[0].id
    with storage.write() as tx:
        last = sa.select(deliveries.c.id).where(gone).order_by(deliveries.c.id.desc()).limit(1)
        withdrawn = tx.execute(last).scalar_one()
        failed = {"lane": Lane.WITHDRAWAL_AGAIN, "attempt": 1}
        tx.execute(deliveries.update().where(deliveries.c.id == withdrawn).values(failed))
    held = {claim.subscription_id: claim for claim in couriers.claim()}
    assert held[made[0].id].delivery_id == withdrawn
    assert held[made[1].id].lane is Lane.FIRST
    couriers.record(held[made[0].id], 204)
    assert [claim.lane for claim in couriers.claim()] == [Lane.FIRST]
