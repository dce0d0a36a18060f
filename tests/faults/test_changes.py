"""A subscription that is changed between two tries: nothing is lost, and nothing more goes where it should not."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from service.retries import PAUSE_AFTER, PAUSE_FAILURES
from tests.faults.receivers import Asked
from tests.faults.wire import Wire

WHEN = pytest.mark.parametrize("is_in_flight", [False, True], ids=["waiting", "in flight"])


def change_between_tries(wire: Wire, change: Callable[[], object], is_in_flight: bool, *answers: int) -> None:
    """Publish, and change the subscription once the push has failed, or before it is answered; then try to the end.

    Receiver 0 answers with ``answers``, one after another; every other receiver takes what comes.
    """
    left = list(answers)
    asked, changed = threading.Event(), threading.Event()

    def answer(number: int) -> int:
        if number != 0:
            return 204
        asked.set()
        if is_in_flight:
            assert changed.wait(30)
        return left.pop(0) if len(left) > 1 else left[0]

    wire.received.answer = answer
    if is_in_flight:
        wire.courier.nudge()
        assert asked.wait(30)
    else:
        wire.work()
    change()
    changed.set()
    wire.work()
    while wire.find_next():
        wire.wait_for_next()
        wire.work()


@pytest.fixture
def timeless(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library of the standard takes a push of any time."""
    read = staticmethod(lambda timestamp: datetime.fromtimestamp(float(timestamp), UTC))
    monkeypatch.setattr(Webhook, "_Webhook__verify_timestamp", read)


def accepts(secret: str, asked: Asked) -> bool:
    try:
        Webhook(secret).verify(asked.body, asked.headers)
    except WebhookVerificationError:
        return False
    return True


@WHEN
@pytest.mark.usefixtures("timeless")
def test_a_secret_that_is_rotated_between_two_tries_signs_the_second_beside_the_former(
    wire: Wire, is_in_flight: bool
) -> None:
    wire.publish()
    secrets = [wire.order["secret"]]
    change_between_tries(
        wire, lambda: secrets.append(wire.call(f"{wire.path}/rotate-secret")["secret"]), is_in_flight, 500, 204
    )
    first, second = wire.asked()
    assert [accepts(secret, first) for secret in secrets] == [True, False]
    assert [accepts(secret, second) for secret in secrets] == [True, True]
    assert (first.message_id, first.body) == (second.message_id, second.body)
    assert wire.states() == ["delivered"]


@pytest.mark.usefixtures("timeless")
def test_a_try_after_the_overlap_is_signed_by_the_new_secret_alone(wire: Wire) -> None:
    """The failing receiver was changed in the meantime to know that one only."""
    wire.publish()
    secrets = [wire.order["secret"]]
    failures = [500] * 9
    change_between_tries(
        wire, lambda: secrets.append(wire.call(f"{wire.path}/rotate-secret")["secret"]), False, *failures, 204
    )
    tries = [[accepts(secret, asked) for secret in secrets] for asked in wire.asked()]
    assert tries[0] == [True, False] and tries[1] == [True, True] and tries[-1] == [False, True]
    assert len({asked.message_id for asked in wire.asked()}) == 1
    assert wire.states() == ["delivered"]


@WHEN
def test_what_waits_goes_to_the_new_callback_and_the_old_one_is_left_alone(wire: Wire, is_in_flight: bool) -> None:
    release_id = wire.publish()
    change_between_tries(
        wire, lambda: wire.call(wire.path, {"callback": wire.callback(1)}, "PATCH"), is_in_flight, 500, 204
    )
    [before], [after] = wire.asked(0), wire.asked(1)
    assert (before.message_id, before.body) == (after.message_id, after.body)
    assert wire.received.pushes[1] == [(after.message_id, release_id)]
    assert wire.states() == ["delivered"]


def test_what_the_old_callback_has_taken_meanwhile_the_new_one_is_not_sent_again(wire: Wire) -> None:
    wire.publish()
    change_between_tries(wire, lambda: wire.call(wire.path, {"callback": wire.callback(1)}, "PATCH"), True, 204)
    assert (len(wire.asked(0)), wire.asked(1), wire.states()) == (1, [], ["delivered"])
    wire.publish()
    wire.work()
    assert (len(wire.asked(0)), len(wire.asked(1))) == (1, 1)


@WHEN
@pytest.mark.parametrize("change", [
    {"categories": ["visits"]}, {"languages": ["en"]}, {"language_choice": "first_available"},
])
def test_a_filter_that_changes_takes_nothing_from_what_is_owed(
    wire: Wire, change: dict[str, object], is_in_flight: bool
) -> None:
    """It was ordered when it was published, and comes as it was planned; so does its withdrawal after that."""
    release_id = wire.publish(categories=["events"])
    change_between_tries(wire, lambda: wire.call(wire.path, change, "PATCH"), is_in_flight, 500, 204)
    first, second = wire.asked()
    assert (first.message_id, first.body) == (second.message_id, second.body)
    wire.withdraw(release_id)
    wire.work()
    assert len(wire.asked()) == 3
    assert wire.states() == ["delivered", "delivered"]


@WHEN
def test_whoever_deletes_a_subscription_is_sent_nothing_after_that(wire: Wire, is_in_flight: bool) -> None:
    wire.publish()
    wire.publish()
    change_between_tries(wire, lambda: wire.call(wire.path, method="DELETE"), is_in_flight, 500)
    wire.publish()
    wire.clock.advance(days=4)
    wire.work()
    asked = wire.asked()
    assert len(asked) == (1 if is_in_flight else 2), "what was under way, and nothing more"
    assert len({each.message_id for each in asked}) == len(asked)
    assert wire.states() == ["abandoned"] * 2


def test_a_subscription_that_is_paused_between_two_tries_is_sent_the_rest_when_it_is_resumed(wire: Wire) -> None:
    """Under the message ids of then, in order; and not once more while it is paused."""
    wire.received.answer = lambda _number: 503
    wire.publish()
    wire.work()
    for _ in range(PAUSE_FAILURES - 1):
        wire.clock.now += PAUSE_AFTER / PAUSE_FAILURES
        wire.work()
    wire.clock.now += PAUSE_AFTER / PAUSE_FAILURES - timedelta(minutes=1)
    wire.publish()
    wire.work()
    wire.clock.advance(minutes=2)
    wire.work()
    assert wire.call(wire.path, method="GET")["state"] == "paused"
    ids = {asked.message_id for asked in wire.asked()}
    count = len(wire.asked())
    wire.publish()
    wire.clock.advance(days=1)
    wire.work()
    assert len(wire.asked()) == count
    wire.received.answer = lambda _number: 204
    wire.call(f"{wire.path}/resume", {})
    wire.work()
    sent = [message_id for message_id, _ in wire.received.pushes[0]]
    assert len(sent) == 3 and ids == set(sent[:2])
    assert wire.states() == ["delivered"] * 3
