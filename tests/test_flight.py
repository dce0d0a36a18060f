"""The flight by itself: what it was given takes room from the moment on that it was given."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from celery import Celery

from service.clock import new_id, utc_now
from service.model import Channel, Claim, Lane, Secret
from service.networks import AllowedNetworks
from service.retries import FIRST_ROOM, MOMENT, RETRY_ROOM
from tests.faults.processes import wait_until
from tests.faults.receivers import Received, run_receivers
from tests.raw import run_partner
from workers.flight import Flight, Result
from workers.outbound import Outbound

Receivers = tuple[str, Received]
Board = Callable[[int], Flight]


@pytest.fixture
def receivers() -> Iterator[Receivers]:
    with run_receivers() as running:
        yield running


@pytest.fixture
def landed() -> list[Result]:
    return []


@pytest.fixture
def board(workers_app: Celery, landed: list[Result]) -> Iterator[Board]:
    """Makes flights that have not begun."""
    boarded = []

    def board(most: int) -> Flight:
        outbound = Outbound(AllowedNetworks.parse("127.0.0.0/8"))
        boarded.append((outbound, Flight(outbound, most, utc_now, lambda results, late: landed.extend(results))))
        return boarded[-1][1]

    yield board
    for outbound, _ in boarded:
        outbound.close()


def claim(callback: str = "http://127.0.0.1:1/", lane: Lane = Lane.FIRST, seconds: float = 20) -> Claim:
    delivery_id = new_id()
    return Claim(
        delivery_id=delivery_id, subscription_id=new_id(), owner="me", attempt=1,
        until=utc_now() + timedelta(seconds=seconds), message_id=f"msg_{delivery_id.hex}",
        channel=Channel.WEBHOOK, callback=callback, secret=Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        body=b'{"data": {"subscription": {"id": "s"}}}', first_due_at=utc_now(), lane=lane,
    )


def test_what_has_not_begun_takes_room_of_its_lane(board: Board) -> None:
    """Else, while the thread is busy, claims would pile up and run out before they are sent."""
    flight = board(2048)
    flight.send([claim(), claim(), claim(lane=Lane.AGAIN)])
    assert flight.rooms() == (FIRST_ROOM - 2, RETRY_ROOM - 1)


def test_what_has_not_begun_takes_room_of_all(board: Board) -> None:
    flight = board(4)
    flight.send([claim(), claim(), claim(lane=Lane.AGAIN)])
    assert flight.rooms() == (1, 1)


def test_who_has_not_answered_in_a_moment_takes_room_of_all_alone(
    board: Board, receivers: Receivers, landed: list[Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    base_url, received = receivers
    received.hanging = {0}
    flight = board(FIRST_ROOM + 2)
    flight.send([claim(f"{base_url}/0"), claim(f"{base_url}/1")])
    flight.start()
    wait_until(lambda: landed, "the other has answered", seconds=10)
    assert flight.rooms()[0] == FIRST_ROOM - 1
    now = time.monotonic() + (MOMENT + timedelta(seconds=1)).total_seconds()
    with monkeypatch.context() as patch:
        patch.setattr("workers.flight.time.monotonic", lambda: now)
        assert flight.rooms()[0] == FIRST_ROOM
    received.release_all.set()
    flight.close()


def test_what_has_landed_takes_no_room(board: Board, receivers: Receivers, landed: list[Result]) -> None:
    base_url, _ = receivers
    flight = board(2048)
    flight.send([claim(f"{base_url}/{number}") for number in range(3)])
    flight.start()
    wait_until(lambda: len(landed) == 3, "all have answered", seconds=10)
    assert [result.response.status for result in landed] == [204] * 3
    assert flight.rooms() == (FIRST_ROOM, RETRY_ROOM)
    flight.close()


def test_a_claim_that_was_over_before_it_began_is_not_sent(
    board: Board, receivers: Receivers, landed: list[Result]
) -> None:
    """As after the worker was frozen: another has it by now, and a withdrawal may have overtaken it."""
    base_url, received = receivers
    flight = board(2048)
    flight.send([claim(f"{base_url}/0", seconds=0), claim(f"{base_url}/1")])
    flight.start()
    wait_until(lambda: landed, "the other has answered", seconds=10)
    assert (len(received.pushes[0]), len(received.pushes[1])) == (0, 1)
    assert flight.rooms() == (FIRST_ROOM, RETRY_ROOM)
    flight.close()


def test_no_attempt_outlives_its_claim(board: Board, landed: list[Result]) -> None:
    """Begun late, it would still be under way when another courier begins the next one."""
    with run_partner(lambda connection, over: over.wait(30)) as (url, _):
        flight = board(2048)
        flight.send([claim(url, seconds=1)])
        flight.start()
        wait_until(lambda: landed, "the attempt is given up", seconds=8)
    assert landed[0].response.error == "deadline_exceeded"
    flight.close()
