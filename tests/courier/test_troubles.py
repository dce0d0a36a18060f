"""What can't be sent or recorded stops nothing else, and a channel may ask several times."""

from __future__ import annotations

import dataclasses
from datetime import datetime
from typing import Any

import pytest
import sqlalchemy as sa

from service.model import Channel, Claim, DeliveryState, Secret
from service.retries import WAITS
from service.storage import Storage
from service.storage.tables import attempts
from tests.conftest import StoppedClock
from tests.courier.conftest import Hire, Receivers, await_state, find, owe, spoil, subscribe
from tests.faults.processes import wait_until
from workers.channels import CHANNELS, Conversation
from workers.channels.webhook import push


@pytest.mark.parametrize(("spoilt", "error"), [
    ({"secret": Secret("whsec_no base64")}, "unsendable"),
    ({"callback": "gopher://127.0.0.1/"}, "bad_url"),
    ({"callback": "http://[::"}, "bad_url"),
    ({"callback": "http://10.0.0.1/"}, "address_refused"),
])
def test_a_delivery_that_can_not_be_sent_keeps_no_other_and_ends_some_day(
    hire: Hire, storage: Storage, clock: StoppedClock, receivers: Receivers, spoilt: dict[str, Any], error: str
) -> None:
    base_url, received = receivers
    partners = [subscribe(storage, clock, f"{base_url}/{number}") for number in range(4)]
    poisonous, *healthy = (owe(storage, clock, partner)[0] for partner in partners)
    spoil(storage, partners[0], **spoilt)
    courier = hire()
    courier.nudge()
    await_state(storage, DeliveryState.DELIVERED, *healthy)
    for number in range(1, len(WAITS) + 2):
        wait_until(lambda: len(find(storage, poisonous).attempts) == number, "it is tried", seconds=30)  # noqa: B023
        after = find(storage, poisonous)
        if after.next_attempt_at:
            clock.now = after.next_attempt_at
            courier.nudge()
    assert after.state is DeliveryState.ABANDONED
    assert {attempt.error for attempt in after.attempts} == {error}
    assert received.pushes[0] == []


def test_a_result_that_breaks_the_record_keeps_no_other(
    hire: Hire, storage: Storage, clock: StoppedClock, receivers: Receivers
) -> None:
    """Two results come in one batch, and the row of one is there already; then a third comes."""
    base_url, _ = receivers
    partners = [subscribe(storage, clock, f"{base_url}/{number}") for number in range(3)]
    for partner in partners[:2]:
        spoil(storage, partner, secret=Secret("whsec_no base64"))
    [broken], [together] = (owe(storage, clock, partner) for partner in partners[:2])
    with storage.write() as tx:
        row = sa.insert(attempts).values(delivery_id=broken, number=1, started_at=clock(), duration_ms=0)
        tx.execute(row)
    courier = hire()
    courier.nudge()
    wait_until(lambda: find(storage, together).attempts, "the other of the batch is recorded", seconds=30)
    later = owe(storage, clock, partners[2])
    courier.nudge()
    await_state(storage, DeliveryState.DELIVERED, *later)
    assert find(storage, broken).state is DeliveryState.DUE


def test_a_channel_that_asks_several_times_is_judged_by_its_last_answer(
    hire: Hire, storage: Storage, clock: StoppedClock, receivers: Receivers, monkeypatch: pytest.MonkeyPatch
) -> None:
    base_url, received = receivers
    received.answer = lambda number: 503 if number == 0 else 204

    def converse(claim: Claim, now: datetime) -> Conversation:
        first = yield from push(dataclasses.replace(claim, callback=f"{base_url}/0"), now)
        assert first.status == 503
        return (yield from push(claim, now))

    monkeypatch.setitem(CHANNELS, Channel.WEBHOOK, converse)
    subscription = subscribe(storage, clock, f"{base_url}/1")
    owed = owe(storage, clock, subscription)
    hire().nudge()
    await_state(storage, DeliveryState.DELIVERED, *owed)
    [attempt] = find(storage, owed[0]).attempts
    assert attempt.status == 204


def test_the_deadline_spans_all_that_a_channel_asks(
    hire: Hire, storage: Storage, clock: StoppedClock, receivers: Receivers, monkeypatch: pytest.MonkeyPatch
) -> None:
    base_url, received = receivers
    received.hanging = {1}
    asked = []

    def converse(claim: Claim, now: datetime) -> Conversation:
        yield from push(dataclasses.replace(claim, callback=f"{base_url}/0"), now)
        asked.append(1)
        return (yield from push(claim, now))

    monkeypatch.setitem(CHANNELS, Channel.WEBHOOK, converse)
    monkeypatch.setattr("workers.flight.ATTEMPT_SECONDS", 1.0)
    subscription = subscribe(storage, clock, f"{base_url}/1")
    owed = owe(storage, clock, subscription)
    hire().nudge()
    wait_until(lambda: find(storage, owed[0]).attempts, "the attempt is on record", seconds=10)
    [attempt] = find(storage, owed[0]).attempts
    assert asked and (attempt.status, attempt.error) == (None, "deadline_exceeded")
    received.release_all.set()
