"""What follows from an answer is a table, for the delivery and for its host."""

from __future__ import annotations

import random
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.model import DeliveryState
from service.retries import (
    FAILURES_APART,
    HOST_FAILURES,
    HOST_HOLDS,
    HOST_ROOM,
    JITTER,
    LONGEST_RETRY_AFTER,
    PAUSE_AFTER,
    PAUSE_FAILURES,
    SPREAD,
    WAITS,
    Breaker,
    Failing,
    count_failure,
    decide,
    host_room,
    is_host_well,
    judge_host,
    must_pause,
    spread,
)

NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
DUE, DELIVERED, ABANDONED = DeliveryState.DUE, DeliveryState.DELIVERED, DeliveryState.ABANDONED


class NoChance(random.Random):
    def random(self) -> float:
        return 0.0


@pytest.mark.parametrize(("status", "state"), [
    (200, DELIVERED), (204, DELIVERED), (299, DELIVERED),
    (301, DUE), (304, DUE), (400, DUE), (401, DUE), (404, DUE), (408, DUE),
    (410, ABANDONED), (413, DUE), (422, DUE), (429, DUE), (500, DUE), (503, DUE), (599, DUE), (None, DUE),
])
def test_an_answer_decides_the_state(status: int | None, state: DeliveryState) -> None:
    assert decide(1, status, {}, NOW, NoChance()).state is state


@pytest.mark.parametrize("status", [200, 404, 410, 429, 500, None])
def test_only_410_ends_the_subscription(status: int | None) -> None:
    assert decide(1, status, {}, NOW, NoChance()).ends_subscription is (status == 410)


def test_waits_grow_over_three_days() -> None:
    assert sorted(WAITS) == list(WAITS)
    assert timedelta(days=3) <= sum(WAITS, timedelta()) <= timedelta(days=4)


@pytest.mark.parametrize("attempt", range(1, len(WAITS) + 1))
def test_jitter_is_only_added(attempt: int) -> None:
    """A receiver that was promised five seconds is never called after four."""
    for seed in range(50):
        at = decide(attempt, 500, {}, NOW, random.Random(seed)).next_attempt_at
        assert at is not None
        assert WAITS[attempt - 1] <= at - NOW <= WAITS[attempt - 1] * (1 + JITTER)


def test_after_the_last_wait_a_delivery_is_given_up() -> None:
    assert decide(len(WAITS), 500, {}, NOW, NoChance()).state is DUE
    assert decide(len(WAITS) + 1, 500, {}, NOW, NoChance()).state is ABANDONED


@pytest.mark.parametrize(("value", "wait"), [
    ("120", timedelta(seconds=120)),
    ("1", WAITS[0]),                                        # only upward
    ("Tue, 24 Nov 2026 08:10:00 GMT", timedelta(minutes=10)),
    ("Tue, 24 Nov 2026 07:00:00 GMT", WAITS[0]),            # the past
    ("99999999999999999999", LONGEST_RETRY_AFTER),
    ("Fri, 31 Dec 9999 23:59:59 GMT", LONGEST_RETRY_AFTER),
    ("Fri, 31 Dec 99999999999999999999 23:59:59 GMT", WAITS[0]),
    ("Tue, 24 Nov 2026 08:10:00 -99999999999999999999", WAITS[0]),
    ("-5", WAITS[0]), ("soon", WAITS[0]), ("", WAITS[0]), ("١٢٠", WAITS[0]),
    ("Tue, 24 Nov 2026 08:10:00", timedelta(minutes=10)),
])
def test_retry_after_is_heeded_upward_and_capped(value: str, wait: timedelta) -> None:
    assert decide(1, 503, {"retry-after": value}, NOW, NoChance()).next_attempt_at == NOW + wait


@given(st.text() | st.from_regex(r"[A-Za-z]{0,3},? ?[0-9]{0,3} [A-Z][a-z]{2} [0-9]{0,9} [0-9:]{0,9} ?[A-Z0-9+-]{0,9}"))
def test_no_retry_after_breaks_anything_or_waits_for_longer_than_a_day(value: str) -> None:
    for now in (NOW, datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC) - LONGEST_RETRY_AFTER):
        at = decide(1, 503, {"retry-after": value}, now, NoChance()).next_attempt_at
        assert at and WAITS[0] <= at - now <= LONGEST_RETRY_AFTER


@pytest.mark.parametrize(("status", "headers", "holds"), [
    (429, {"retry-after": "60"}, timedelta(seconds=60)), (503, {"retry-after": "60"}, timedelta(seconds=60)),
    (500, {"retry-after": "60"}, None), (503, {}, None), (204, {"retry-after": "60"}, None),
])
def test_retry_after_speaks_of_all_requests_where_the_status_does(
    status: int, headers: dict[str, str], holds: timedelta | None
) -> None:
    """And so also after the last try of one delivery."""
    for attempt in (1, len(WAITS) + 1):
        assert decide(attempt, status, headers, NOW, NoChance()).holds_until == (NOW + holds if holds else None)


@pytest.mark.parametrize(("status", "error", "is_well"), [
    (204, None, True), (301, None, True), (404, None, True), (410, None, True), (499, None, True),
    (429, None, False), (500, None, False), (599, None, False), (None, "dns_failed", False),
    (None, "deadline_exceeded", False), (None, "tls_failed", False), (None, "bad_response", False),
    (None, "bad_url", None), (None, "unsendable", None), (None, "address_refused", None), (None, "port_refused", None),
])
def test_an_answer_tells_of_the_host_or_of_one_callback(
    status: int | None, error: str | None, is_well: bool | None
) -> None:
    assert is_host_well(status, error) is is_well


LAST = HOST_FAILURES + len(HOST_HOLDS) - 1


@pytest.mark.parametrize(("failures", "is_well", "after", "hold"), [
    (0, True, 0, None), (0, False, 1, None), (HOST_FAILURES - 2, False, HOST_FAILURES - 1, None),
    (HOST_FAILURES - 1, False, HOST_FAILURES, HOST_HOLDS[0]), (HOST_FAILURES, False, HOST_FAILURES + 1, HOST_HOLDS[1]),
    (LAST - 1, False, LAST, HOST_HOLDS[-1]), (LAST, False, LAST + 1, HOST_HOLDS[-1]), (LAST, True, 0, None),
])
def test_failures_in_a_row_hold_a_host_for_longer_and_longer(
    failures: int, is_well: bool, after: int, hold: timedelta | None
) -> None:
    before = Breaker(failures, NOW if failures >= HOST_FAILURES else None)
    assert judge_host(before, is_well, NOW) == Breaker(after, NOW + hold if hold else None)


def test_what_was_begun_before_the_hold_makes_it_no_longer() -> None:
    held = Breaker(HOST_FAILURES, NOW + HOST_HOLDS[0])
    assert judge_host(held, False, NOW) == held
    assert judge_host(held, True, NOW) == Breaker()


@pytest.mark.parametrize(("failures", "held_for", "room"), [
    (0, None, HOST_ROOM), (HOST_FAILURES - 1, None, HOST_ROOM), (HOST_FAILURES, HOST_HOLDS[0], 0),
    (HOST_FAILURES, timedelta(0), 1), (HOST_FAILURES, HOST_HOLDS[-1] * 2, 1),
])
def test_a_host_has_room_for_none_one_or_several(failures: int, held_for: timedelta | None, room: int) -> None:
    assert host_room(Breaker(failures, None if held_for is None else NOW + held_for), NOW) == room


@pytest.mark.parametrize(("channel", "failing_for", "count", "is_paused"), [
    ("webhook", timedelta(0), 1, False), ("webhook", PAUSE_AFTER - timedelta(seconds=1), PAUSE_FAILURES * 9, False),
    ("webhook", PAUSE_AFTER * 9, PAUSE_FAILURES - 1, False),
    ("webhook", PAUSE_AFTER, PAUSE_FAILURES, True), ("wordpress", PAUSE_AFTER, PAUSE_FAILURES, True),
    ("websub", PAUSE_AFTER * 9, PAUSE_FAILURES * 9, False),
])
def test_who_fails_for_days_and_often_is_paused_but_no_websub_subscription(
    channel: str, failing_for: timedelta, count: int, is_paused: bool
) -> None:
    """W3C WebSub section 7: that lives to the end of its lease."""
    assert must_pause(channel, Failing(NOW - failing_for, count, NOW), NOW) is is_paused


def test_who_has_not_failed_is_not_paused() -> None:
    assert not must_pause("webhook", None, NOW)


SOON, DAY = timedelta(seconds=5), timedelta(days=1)


@pytest.mark.parametrize(("moments", "count"), [
    ([], 1), ([SOON] * 99, 1), ([FAILURES_APART - SOON], 1), ([FAILURES_APART], 2), ([FAILURES_APART / 2] * 8, 5),
    ([PAUSE_AFTER], 2), ([SOON] * 9 + [PAUSE_AFTER] + [SOON] * 99, 2), ([DAY, -DAY] * 3, 4), ([-DAY], 1),
])
def test_failures_count_that_are_far_enough_from_each_other(moments: list[timedelta], count: int) -> None:
    """Neither two with nothing between, nor many at once, nor a clock that is set back make more of them."""
    failing, at = count_failure(None, NOW), NOW
    for passed in moments:
        at += passed
        failing = count_failure(failing, at)
    assert failing.count == count and failing.since == min(NOW, NOW + sum(moments, timedelta()))


@pytest.mark.parametrize("chance", [0, 0.5, 0.999])
def test_one_delivery_that_fails_to_its_end_counts_as_often_as_a_pause_asks(chance: float) -> None:
    """So the next failure after five days pauses the subscription, however little there is to send."""
    failing, at = count_failure(None, NOW), NOW
    for wait in WAITS:
        at += wait * (1 + JITTER * chance)
        failing = count_failure(failing, at)
    assert failing.count == PAUSE_FAILURES and at - NOW < PAUSE_AFTER


def test_what_was_held_together_comes_back_spread_over_a_while_and_never_early() -> None:
    times = [spread(uuid.UUID(int=number * 64), NOW) - NOW for number in range(1024)]
    assert min(times) == timedelta() and max(times) < SPREAD
    assert len({times.seconds for times in times}) == SPREAD.seconds
