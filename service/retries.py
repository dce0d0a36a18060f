"""When a delivery is tried again, and how much is sent to one host: all that is counted in tries and seconds.

Pure: the time and chance come from the caller.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from service.model import Channel, DeliveryState

# Before the next try, after the n-th has failed: three days in all. Jitter is only ever added.
WAITS = tuple(timedelta(seconds=seconds) for seconds in (
    5, 60, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 14 * 3600, 20 * 3600, 24 * 3600,
))
JITTER = 0.2
LONGEST_RETRY_AFTER = timedelta(hours=24)

# From the first name's look-up to the last byte, however many requests a channel makes.
ATTEMPT_SECONDS = 15.0
# Longer than an attempt may last, so that a live worker's claim never runs out.
CLAIM = timedelta(seconds=20)
# A site is asked many times, and makes each picture in several sizes before it answers.
LONG_ATTEMPT_SECONDS: Mapping[Channel, float] = {Channel.WORDPRESS: 60.0}
LONG_CLAIM = timedelta(seconds=65)

# What a courier has begun within the last moment, by lane. Who hasn't answered by then is slow and waits beside them,
# so that slow partners take no place from others, until so many wait in all.
FIRST_ROOM, RETRY_ROOM = 1024, 128
MOMENT = timedelta(milliseconds=250)
MOST_IN_FLIGHT = 2048

# To one host over all couriers: so many in their first moment, so many in all.
HOST_BURST, HOST_ROOM = 8, 32

# A host that failed so often in a row is left alone, longer each time that its one probe fails too.
HOST_FAILURES = 10
HOST_HOLDS = tuple(timedelta(seconds=seconds) for seconds in (30, 60, 2 * 60, 5 * 60, 10 * 60, 15 * 60))
# What was held back together comes back spread over so long.
SPREAD = timedelta(seconds=30)

# The furthest that anything can have been put off; what lies beyond was put off by a clock that was set back since.
LONGEST_WAIT = max(WAITS[-1], LONGEST_RETRY_AFTER) * (1 + JITTER) + SPREAD

# The receiver's own end of its subscription: Standard Webhooks 1.0.0, W3C WebSub section 7.
GONE = 410

# A webhook that has failed for so long, without one success, is paused.
PAUSE_AFTER = timedelta(days=5)
# But only after so many failures, each so far from the one before: so many one delivery comes to by its waits, while
# two with nothing sent between them tell nothing of the days between, nor do many at once after a clock was put on.
PAUSE_FAILURES, FAILURES_APART = 5, timedelta(hours=12)
# A pause that nobody could be told of for so long, for want of a mail server, is told to nobody any more.
TELL_WITHIN = timedelta(days=1)
# After one mail of a delivery that was given up, further ones of the subscription stand among the notices alone.
TELL_AGAIN_AFTER = timedelta(days=1)
# W3C WebSub section 7: a subscription is kept to the end of its lease, whatever fails.
_NEVER_PAUSED = {"websub"}

# They tell of a callback, or of us, but nothing of the host.
_ERRORS_OF_OURS = {
    "unsendable", "bad_url", "address_refused", "port_refused", "file_missing", "mail_not_set_up", "login_failed",
}


@dataclass(frozen=True, slots=True)
class Decision:
    """A delivery's fate after an attempt.

    ``ends_subscription`` is the receiver's 410; until ``holds_until`` it wants nothing at all, by its Retry-After.
    """

    state: DeliveryState
    next_attempt_at: datetime | None = None
    ends_subscription: bool = False
    holds_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Breaker:
    """How a host has been doing: ``failures`` in a row, and until when it is left alone, if it is or was."""

    failures: int = 0
    held_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Failing:
    """A receiver that has taken nothing ``since`` then: how many failures count, and when the last of them was."""

    since: datetime
    count: int
    counted_at: datetime


_DELIVERED = Decision(DeliveryState.DELIVERED)


def decide(
    attempt: int, status: int | None, headers: Mapping[str, str], now: datetime, chance: random.Random, *,
    heals: bool = True,
) -> Decision:
    """What follows from the `attempt`-th answer; `status` is None where there was none.

    Standard Webhooks 1.0.0: 2xx is success, 410 ends the subscription, everything else is tried again: a 404 may be a
    receiver that is just being put in place, a 401 a secret that is just being changed. Redirects are never followed,
    but are mended like the rest. Where a channel knows that an answer never `heals`, it is final.
    """
    if status is not None and 200 <= status < 300:
        return _DELIVERED
    if status == GONE:
        return Decision(DeliveryState.ABANDONED, ends_subscription=True)
    asked = _retry_after(headers.get("retry-after"), now)
    # RFC 6585 section 4, RFC 9110 section 15.6.4: these speak of every request, not of this one alone.
    holds_until = now + asked if asked and status in (429, 503) else None
    if not heals or attempt > len(WAITS):
        return Decision(DeliveryState.ABANDONED, holds_until=holds_until)
    wait = WAITS[attempt - 1] * (1 + JITTER * chance.random())
    return Decision(DeliveryState.DUE, now + max(wait, asked), holds_until=holds_until)


def _retry_after(value: str | None, now: datetime) -> timedelta:
    """RFC 9110 section 10.2.3: seconds or a date; nonsense and the past count as no wait."""
    if not value:
        return timedelta()
    if value.isascii() and value.isdecimal():
        return min(timedelta(seconds=int(value[:9])), LONGEST_RETRY_AFTER)
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return timedelta()
    date = date if date.tzinfo else date.replace(tzinfo=UTC)
    return max(timedelta(), min(date - now, LONGEST_RETRY_AFTER))


def is_host_well(status: int | None, error: str | None) -> bool | None:
    """What an attempt tells of the host. Any answer but 429 and 5xx comes from one that works; None: nothing."""
    if status is not None:
        return status != 429 and status < 500
    return None if error in _ERRORS_OF_OURS else False


def judge_host(breaker: Breaker, is_well: bool, now: datetime) -> Breaker:
    """The breaker after one more attempt; `Breaker()` is one that was never needed."""
    if is_well:
        return Breaker()
    if _is_held(breaker, now):
        # Begun before the hold: it tells nothing new.
        return breaker
    failures = breaker.failures + 1
    if failures < HOST_FAILURES:
        return Breaker(failures)
    return Breaker(failures, now + HOST_HOLDS[min(failures - HOST_FAILURES, len(HOST_HOLDS) - 1)])


def host_room(breaker: Breaker, now: datetime) -> int:
    """How many may be in flight to the host at once: none while it is held, then a probe, until it answers."""
    if _is_held(breaker, now):
        return 0
    return 1 if breaker.failures >= HOST_FAILURES else HOST_ROOM


def _is_held(breaker: Breaker, now: datetime) -> bool:
    # The upper bound is for a clock that was set back.
    return breaker.held_until is not None and now < breaker.held_until <= now + HOST_HOLDS[-1]


def spread(delivery_id: uuid.UUID, until: datetime) -> datetime:
    """When a delivery that was held back until then is due; each its own time, by the chance in its id."""
    return until + SPREAD * ((delivery_id.int & 0xFFFF) / 0x10000)


def count_failure(failing: Failing | None, at: datetime) -> Failing:
    """The same after one more failure, which counts if it is far from the last that did; None: it was well."""
    if failing is None:
        return Failing(at, 1, at)
    if at < failing.counted_at:
        # The clock was set back, and what it said of the time between is worth nothing.
        return Failing(min(failing.since, at), failing.count, at)
    if at - failing.counted_at < FAILURES_APART:
        return failing
    return Failing(failing.since, failing.count + 1, at)


def must_pause(channel: str, failing: Failing | None, now: datetime) -> bool:
    """Whether a subscription that has failed just now is to be paused."""
    if channel in _NEVER_PAUSED or failing is None:
        return False
    return now - failing.since >= PAUSE_AFTER and failing.count >= PAUSE_FAILURES
