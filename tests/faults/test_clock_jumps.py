"""A clock that jumps while pushes wait, fly or are held: nothing is stuck, lost or paused for that alone."""

from __future__ import annotations

import threading
import uuid
from datetime import timedelta

import pytest
from celery import Celery

from service.retries import CLAIM, LONGEST_WAIT, PAUSE_AFTER, PAUSE_FAILURES, WAITS
from service.storage import claims, lines
from service.storage.subscriptions import hold
from tests.faults.wire import Wire

DAY = timedelta(days=1)
JUMPS = pytest.mark.parametrize(
    "jump", [DAY, -DAY, 30 * DAY, -30 * DAY], ids=["a day on", "a day back", "a month on", "a month back"]
)


def sweep(wire: Wire) -> None:
    """What beat has a worker do every other second."""
    with wire.storage.write() as tx:
        lines.wake_misdated(tx, wire.clock())
    wire.work()


def order(wire: Wire, number: int) -> str:
    """One more subscription, on a host of its own; its path."""
    port = wire.base_url.rpartition(":")[2]
    made = wire.call("/v1/subscriptions", {
        "partner": f"P{number}", "channel": "webhook", "callback": f"http://p{number}.localhost:{port}/{number}",
        "languages": ["en"],
    })
    return f"/v1/subscriptions/{made['id']}"


@JUMPS
def test_whatever_waits_when_the_clock_jumps_arrives_and_nothing_is_given_up_or_paused(
    wire: Wire, jump: timedelta
) -> None:
    """A retry, pushes of a host that is left alone, what a dead courier held, and what stands in line."""
    paths = [wire.path, *(order(wire, number) for number in (1, 2))]
    wire.received.answer = lambda number: 500 if number == 1 else 204
    wire.publish()
    wire.work()
    for _ in range(12):
        wire.call(f"{paths[1]}/test")
    wire.work()
    for path in paths:
        wire.call(f"{path}/test")
    with wire.storage.write() as tx:
        dead = claims.hold_due(tx, "dead", limit=2, now=wire.clock(), until=wire.clock() + CLAIM).read()
    assert {claim.callback[-1] for claim in dead} == {"0", "2"}
    for path in paths:
        wire.call(f"{path}/test")
    assert wire.find_next(), "some wait"

    wire.clock.now += jump
    wire.received.answer = lambda _number: 204
    ends_at = wire.clock() + LONGEST_WAIT + max(WAITS) / 10
    while wire.clock() < ends_at and set(wire.states()) != {"delivered"}:
        sweep(wire)
        wire.clock.advance(minutes=30)
    assert set(wire.states()) == {"delivered"}
    assert {wire.call(path, method="GET")["state"] for path in paths} == {"active"}
    assert wire.received.repeats() == 0
    owed = 3 * 3 + 12
    assert len({asked.message_id for asked in wire.received.asked}) == len(wire.states()) == owed


@JUMPS
def test_a_push_that_flies_over_a_jump_is_recorded_once_and_comes_at_most_twice(wire: Wire, jump: timedelta) -> None:
    asked, gate = threading.Semaphore(0), threading.Event()

    def answer(_number: int) -> int:
        asked.release()
        gate.wait(30)
        return 204

    wire.received.answer = answer
    wire.publish()
    wire.courier.nudge()
    assert asked.acquire(timeout=30)
    wire.clock.now += jump
    wire.courier.nudge()
    assert asked.acquire(timeout=30), "the claim of before the jump counts no more"
    gate.set()
    wire.work()
    assert wire.states() == ["delivered"]
    assert len(wire.asked()) == 2 and len({each.message_id for each in wire.asked()}) == 1


def test_a_receiver_is_paused_for_failing_on_five_days_and_for_no_jump_of_the_clock(wire: Wire) -> None:
    """Every failure is one try of its few, whatever the clock says of the time between."""
    wire.received.answer = lambda _number: 503
    wire.publish()
    wire.work()
    for jump in (DAY, -DAY, -2 * DAY, PAUSE_AFTER + 3 * DAY):
        wire.clock.now += jump
        wire.clock.advance(minutes=10)
        sweep(wire)
        assert wire.call(wire.path, method="GET")["state"] == "active"
        assert wire.states() == ["due"]
    for _ in range(PAUSE_FAILURES - 1):
        wire.clock.advance(hours=30)
        sweep(wire)
    assert wire.call(wire.path, method="GET")["state"] == "paused"


def test_who_asks_for_patience_is_heeded_after_a_clock_was_set_back(wire: Wire) -> None:
    """Though it had asked for the same at a time that has not come yet."""
    subscription_id = uuid.UUID(wire.order["id"])
    for back in (timedelta(), 30 * DAY):
        wire.clock.now -= back
        until = wire.clock() + timedelta(hours=1)
        with wire.storage.write() as tx:
            hold(tx, subscription_id, wire.order["callback"], until)
        wire.call(f"{wire.path}/test")
        wire.work()
        assert wire.asked() == []
    wire.clock.now = until + timedelta(minutes=1)
    sweep(wire)
    assert len(wire.asked()) == 2 and wire.states() == ["delivered"] * 2


def test_beat_goes_on_after_a_clock_was_set_back(workers_app: Celery) -> None:
    """Celery's own schedules would say nothing until the clock has caught up, be it for a month."""
    [entry] = workers_app.conf.beat_schedule.values()
    schedule = entry["schedule"]
    now = schedule.now()
    for jump in (DAY, -DAY, 30 * DAY, timedelta(seconds=2.5)):
        assert schedule.is_due(now + jump).is_due
    is_due, wait_seconds = schedule.is_due(schedule.now() - timedelta(seconds=1))
    assert not is_due and 0 < wait_seconds < 2
