"""Clocks jump: nothing is early, nothing is lost, order stays, and no reader keeps old bytes for new ones."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from service.feeds import entry_id
from service.model import DeliveryState, EventType, ReleaseState
from service.publishing import publish_due
from service.storage import feeds, releases
from tests.core.newsroom import Newsroom, owed, pushed, subscribe

FEEDS = ("/feeds/zh.atom", "/feeds/en.atom", "/feeds/zh.rss", "/feeds/en.json")


def document(newsroom: Newsroom, path: str) -> Any:
    with newsroom.storage.read() as tx:
        found = feeds.find_document(tx, path)
    assert found
    return found[1]


def ids(newsroom: Newsroom) -> list[str]:
    """What both feeds show, newest first; they never differ."""
    shown = [item["id"] for item in newsroom.items("en")]
    assert len(newsroom.items("zh")) == len(shown)
    return shown


def test_a_clock_set_back_puts_a_schedule_off_until_it_says_the_time_again(newsroom: Newsroom) -> None:
    at = newsroom.clock() + timedelta(hours=1)
    release = newsroom.accept(ReleaseState.SCHEDULED, publish_at=at)
    newsroom.clock.now = at - timedelta(seconds=3)
    newsroom.swap()
    newsroom.clock.advance(hours=-2)
    for _ in range(3):
        newsroom.swap()
        assert ids(newsroom) == []
    newsroom.clock.now = at - timedelta(seconds=1)
    newsroom.swap()
    assert ids(newsroom) == [entry_id(release.id, "en")]


def test_what_a_clock_set_forward_has_let_out_stays_out(newsroom: Newsroom) -> None:
    start = newsroom.clock()
    early, late = (
        newsroom.accept(ReleaseState.SCHEDULED, publish_at=start + timedelta(hours=hours)) for hours in (1, 5)
    )
    newsroom.clock.advance(hours=2)
    newsroom.swap()
    newsroom.clock.now = start
    fresh = newsroom.accept()
    newsroom.swap()
    assert ids(newsroom) == [entry_id(release.id, "en") for release in (fresh, early)]
    with newsroom.storage.read() as tx:
        assert releases.find_next_publish_at(tx) == late.publish_at
        assert releases.find_public_release(tx, late.slug) is None


@pytest.mark.parametrize("jump", [
    timedelta(seconds=-0.4), timedelta(seconds=-1), timedelta(seconds=-2), timedelta(hours=-1), timedelta(days=-400),
    timedelta(hours=1),
])
def test_validators_never_stand_still_while_bytes_change_nor_run_ahead(newsroom: Newsroom, jump: timedelta) -> None:
    """Each swap after a set-back needs a second of its own past the last one, and takes no more."""
    newsroom.accept()
    newsroom.swap()
    highest = newsroom.clock()
    newsroom.clock.now += jump
    before = {path: document(newsroom, path) for path in FEEDS}
    for swaps in range(1, 6):
        newsroom.accept()
        while publish_due(newsroom.storage, newsroom.profile, newsroom.clock).wait_seconds:
            newsroom.clock.advance(milliseconds=100)
        highest = max(highest, newsroom.clock())
        for path in FEEDS:
            after = document(newsroom, path)
            assert after.etag != before[path].etag
            assert after.last_modified > before[path].last_modified
            assert after.last_modified.microsecond == 0
            assert after.last_modified <= highest + timedelta(seconds=swaps)
            if jump > timedelta():
                assert after.last_modified <= newsroom.clock()
            before[path] = after
    assert len(ids(newsroom)) == 6


def test_instants_of_entries_grow_over_every_jump(newsroom: Newsroom) -> None:
    accepted, seen = [], []
    for jump in (0, -3600, 7200, -86400, 0):
        newsroom.clock.advance(seconds=jump)
        accepted.append(newsroom.accept())
        newsroom.swap()
        seen.append(datetime.fromisoformat(newsroom.items("zh")[0]["date_modified"]))
    assert seen == sorted(set(seen))
    assert ids(newsroom) == [entry_id(release.id, "en") for release in reversed(accepted)]


def test_a_partner_gets_each_release_in_order_over_a_set_back(newsroom: Newsroom) -> None:
    """What still waits gives way to what is newer by the release's life, whatever the clock says of both."""
    subscribe(newsroom)
    release = newsroom.accept()
    newsroom.swap()
    assert [push["revision"] for push in pushed(newsroom)] == [1]
    newsroom.clock.advance(hours=-1)
    newsroom.correct(release, "zh-Hans", "en")
    newsroom.swap()
    newsroom.clock.advance(hours=2)
    revisions = [push["revision"] for _ in range(3) for push in pushed(newsroom)]
    assert revisions and set(revisions) == {2}, "the first one's courier died, and something newer is owed"
    states = {delivery.event_type: delivery.state for delivery in owed(newsroom, release)}
    assert states == {
        EventType.RELEASE_PUBLISHED: DeliveryState.SUPERSEDED, EventType.RELEASE_CORRECTED: DeliveryState.DUE,
    }
