"""What the old callback answers after a new one took its place ends nothing, and brings nothing back."""

from __future__ import annotations

from collections.abc import Callable

from service.model import EventType, Release
from service.subscriptions import change_subscription
from tests.core.newsroom import OVERTAKING, Newsroom, owed, subscribe
from workers.flight import Result
from workers.ledger import Ledger
from workers.transfers import Response

GONE, ACCEPTED = (Response(status=status, error=None, duration_ms=0) for status in (410, 204))


@OVERTAKING
def test_the_old_ones_410_brings_back_nothing_that_was_overtaken(
    newsroom: Newsroom, overtake: Callable[[Newsroom, Release], Release]
) -> None:
    """What was in flight when it came is left by planning, and would follow what has overtaken it."""
    subscription_id = subscribe(newsroom)
    release = newsroom.accept()
    newsroom.swap()
    ledger = Ledger(newsroom.storage, "me", newsroom.clock)
    [held] = ledger.record_and_claim([], (9, 9))
    change_subscription(newsroom.storage, subscription_id, {"callback": "https://new.example/"}, newsroom.desk)
    overtake(newsroom, release)
    newsroom.swap()
    results, sent = [Result(held, GONE, newsroom.clock())], []
    while claimed := ledger.record_and_claim(results, (9, 9)):
        sent += [claim.delivery_id for claim in claimed]
        results = [Result(claim, ACCEPTED, newsroom.clock()) for claim in claimed]
    newest, older = owed(newsroom, release)
    assert older.event_type is EventType.RELEASE_PUBLISHED
    assert sent == [newest.id]
