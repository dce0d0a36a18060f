"""How many tests may be asked for, so that nobody has us flood a server that isn't theirs."""

from __future__ import annotations

from datetime import datetime, timedelta

from service.errors import DiglotError
from service.model import Subscription
from service.networks import host_of
from service.storage import Storage, events

MOST_AN_HOUR = 60
PERIOD = timedelta(hours=1)


class TooManyTests(DiglotError):
    """The callback's ``host`` has used up its budget; it is worth asking again after ``wait_seconds``."""

    code = "too_many_tests"


def require_budget(storage: Storage, subscription: Subscription, now: datetime) -> None:
    """Of one host, over all subscriptions. Raises TooManyTests."""
    host = host_of(subscription.callback)
    with storage.read() as tx:
        moments = events.list_tests(tx, host, now - PERIOD, now)
    if len(moments) >= MOST_AN_HOUR:
        wait = (moments[-MOST_AN_HOUR] + PERIOD - now).total_seconds()
        raise TooManyTests(host=host, wait_seconds=int(wait) + 1)
