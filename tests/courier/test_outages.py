"""A database that is away for a moment keeps nothing from being sent, recorded or stopped."""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest

from service.model import DeliveryState
from service.storage import Storage, claims
from service.storage.claims import Held
from tests.conftest import StoppedClock
from tests.courier.conftest import Hire, Receivers, await_state, find, hold_answers, owe, subscribe
from tests.faults.processes import wait_until
from tests.faults.receivers import Received
from tests.services.postgres import THROW_OUT


def send_and_hold(
    hire: Hire, storage: Storage, clock: StoppedClock, receivers: Receivers
) -> tuple[list[uuid.UUID], Received, threading.Event]:
    """What is owed to a partner who has it, and who answers once the event is set."""
    base_url, received = receivers
    asked, [answer, _] = hold_answers(received)
    owed = owe(storage, clock, subscribe(storage, clock, f"{base_url}/0"))
    hire().nudge()
    assert asked.acquire(timeout=10)
    return owed, received, answer


def test_a_result_outlives_a_database_that_is_away_for_a_moment(
    hire: Hire, storage: Storage, clock: StoppedClock, receivers: Receivers,
    away: Callable[[], AbstractContextManager[None]], caplog: pytest.LogCaptureFixture,
) -> None:
    owed, received, answer = send_and_hold(hire, storage, clock, receivers)
    with caplog.at_level(logging.WARNING), away():
        answer.set()
        wait_until(lambda: "the courier waits" in caplog.text, "the record fails", seconds=30)
    await_state(storage, DeliveryState.DELIVERED, *owed)
    assert len(received.pushes[0]) == 1, "the partner got a repeat"


def test_what_was_nudged_while_the_database_was_away_is_sent_when_it_is_back(
    hire: Hire, storage: Storage, clock: StoppedClock, receivers: Receivers,
    away: Callable[[], AbstractContextManager[None]], caplog: pytest.LogCaptureFixture,
) -> None:
    base_url, _ = receivers
    owed = owe(storage, clock, subscribe(storage, clock, f"{base_url}/0"))
    courier = hire()
    with caplog.at_level(logging.WARNING), away():
        courier.nudge()
        wait_until(lambda: "the courier waits" in caplog.text, "the claim fails", seconds=30)
    await_state(storage, DeliveryState.DELIVERED, *owed)


def test_what_flies_while_the_database_is_away_is_recorded_when_it_is_back(
    hire: Hire, storage: Storage, clock: StoppedClock, receivers: Receivers,
    away: Callable[[], AbstractContextManager[None]], caplog: pytest.LogCaptureFixture,
) -> None:
    """One result waits already when the other comes; each is recorded once."""
    base_url, received = receivers
    asked, gates = hold_answers(received)
    owed = [owe(storage, clock, subscribe(storage, clock, f"{base_url}/{number}"))[0] for number in range(2)]
    hire().nudge()
    assert asked.acquire(timeout=10) and asked.acquire(timeout=10)
    with caplog.at_level(logging.WARNING), away():
        for number, gate in enumerate(gates):
            caplog.clear()
            gate.set()
            wait_until(lambda: received.pushes[number], "it has answered", seconds=10)  # noqa: B023
            wait_until(lambda: "the courier waits" in caplog.text, "the record fails", seconds=30)
    await_state(storage, DeliveryState.DELIVERED, *owed)
    assert [len(find(storage, each).attempts) for each in owed] == [1, 1]
    assert received.repeats() == 0


def test_stop_waits_until_the_database_has_all_that_was_in_flight(
    hire: Hire, storage: Storage, clock: StoppedClock, receivers: Receivers,
    away: Callable[[], AbstractContextManager[None]], caplog: pytest.LogCaptureFixture,
) -> None:
    """It is away while one result is being recorded; the other delivery is still in flight when the stop comes."""
    base_url, received = receivers
    asked, gates = hold_answers(received)
    owed = [owe(storage, clock, subscribe(storage, clock, f"{base_url}/{number}"))[0] for number in range(2)]
    courier = hire()
    courier.nudge()
    assert asked.acquire(timeout=10) and asked.acquire(timeout=10)
    stopping = threading.Thread(target=courier.stop)
    with caplog.at_level(logging.WARNING), away():
        gates[0].set()
        wait_until(lambda: "the courier waits" in caplog.text, "the record fails", seconds=30)
        stopping.start()
        gates[1].set()
        wait_until(lambda: received.pushes[1], "the other has answered", seconds=10)
        caplog.clear()
        wait_until(lambda: "the courier waits" in caplog.text, "the record fails again", seconds=30)
        assert stopping.is_alive()
    stopping.join(30)
    assert [find(storage, each).state for each in owed] == [DeliveryState.DELIVERED] * 2


def test_a_nudge_that_comes_during_a_claim_is_not_lost(
    hire: Hire, storage: Storage, clock: StoppedClock, receivers: Receivers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it tells of was written too late for that claim to see it."""
    if storage.engine.dialect.name == "sqlite":
        pytest.skip("while anybody claims there, nobody writes what a nudge could tell of")
    base_url, _ = receivers
    claimed, gate = threading.Event(), threading.Event()

    def hold_due(*args: Any, **named: Any) -> Held:
        due = real(*args, **named)
        claimed.set()
        gate.wait(10)
        return due

    real = claims.hold_due
    monkeypatch.setattr(claims, "hold_due", hold_due)
    courier = hire()
    courier.nudge()
    assert claimed.wait(10)
    owed = owe(storage, clock, subscribe(storage, clock, f"{base_url}/0"))
    courier.nudge()
    gate.set()
    await_state(storage, DeliveryState.DELIVERED, *owed)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_result_outlives_a_database_that_takes_no_writes_for_a_moment(
    hire: Hire, storage: Storage, clock: StoppedClock, receivers: Receivers, caplog: pytest.LogCaptureFixture
) -> None:
    """As while another server takes the place of this one."""
    owed, received, answer = send_and_hold(hire, storage, clock, receivers)
    with caplog.at_level(logging.WARNING), reading_only(storage):
        answer.set()
        wait_until(lambda: "read-only" in caplog.text, "the record fails", seconds=30)
    await_state(storage, DeliveryState.DELIVERED, *owed)
    assert len(received.pushes[0]) == 1, "the partner got a repeat"


@contextmanager
def reading_only(storage: Storage) -> Iterator[None]:
    """For every connection from now on; those that there are end."""
    change = "ALTER DATABASE {} {} default_transaction_read_only {}".format
    with storage.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        name = connection.dialect.identifier_preparer.quote(str(storage.engine.url.database))
        connection.exec_driver_sql(change(name, "SET", "TO on"))
        try:
            connection.exec_driver_sql(THROW_OUT, (storage.engine.url.database,))
            yield
        finally:
            connection.exec_driver_sql(change(name, "RESET", ""))
            connection.exec_driver_sql(THROW_OUT, (storage.engine.url.database,))
