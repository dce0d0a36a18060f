"""What follows from an answer is a table."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest

from service.deliveries import JITTER, LONGEST_RETRY_AFTER, WAITS, decide
from service.model import DeliveryState

NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
DUE, DELIVERED, ABANDONED = DeliveryState.DUE, DeliveryState.DELIVERED, DeliveryState.ABANDONED


class NoChance(random.Random):
    def random(self) -> float:
        return 0.0


@pytest.mark.parametrize(("status", "state"), [
    (200, DELIVERED), (204, DELIVERED), (299, DELIVERED),
    (301, DUE), (304, DUE), (400, ABANDONED), (401, ABANDONED), (404, ABANDONED), (408, ABANDONED),
    (410, ABANDONED), (413, ABANDONED), (429, DUE), (500, DUE), (503, DUE), (599, DUE), (None, DUE),
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
