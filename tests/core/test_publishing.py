"""Every edition goes public in the same instant, once, and nothing accepted is lost."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
import sqlalchemy as sa

from service import subscriptions
from service.config import Profile
from service.deliveries import plan_due
from service.feeds import entry_id
from service.model import Draft, Release, ReleaseState
from service.publishing import publish_due
from service.releases import accept_release, publish_release
from service.storage import Storage, claims, deliveries, events, feeds, listings, releases
from service.validation import validate_release
from tests.conftest import StoppedClock
from tests.factories import make_desk

FORMATS = ("atom", "rss", "json")


@pytest.fixture
def draft(release_document: dict[str, Any], profile: Profile) -> Draft:
    return validate_release(release_document, profile)


def accept(storage: Storage, draft: Draft, clock: StoppedClock) -> Release:
    return accept_release(storage, draft, ReleaseState.PUBLISHED, clock(), make_desk(storage))


def publish(storage: Storage, profile: Profile, clock: StoppedClock) -> int:
    clock.advance(seconds=1)
    return publish_due(storage, profile, clock).count


def items(storage: Storage, path: str) -> list[Any]:
    with storage.read() as tx:
        found = feeds.find_document(tx, path)
    assert found
    return json.loads(found[1].body)["items"]


def test_an_empty_newsroom_has_every_feed(storage: Storage, profile: Profile, clock: StoppedClock) -> None:
    publish(storage, profile, clock)
    with storage.read() as tx:
        paths = feeds.list_paths(tx)
    feeds_of = {"zh", "en"} | {f"{name}/{category}" for name in ("zh", "en") for category in profile.categories}
    lists = {"/feeds.opml", "/feeds/zh.opml", "/feeds/en.opml"}
    assert paths == lists | {f"/feeds/{name}.{format}" for name in feeds_of for format in FORMATS}


def test_a_release_is_in_every_feed_at_once(
    storage: Storage, profile: Profile, clock: StoppedClock, draft: Draft
) -> None:
    release = accept(storage, draft, clock)
    assert publish(storage, profile, clock) == 1
    for name, tag in (("zh", "zh-Hans"), ("en", "en")):
        [item] = items(storage, f"/feeds/{name}.json")
        assert item["id"] == entry_id(release.id, tag)
        assert item["language"] == tag


def test_nothing_is_public_before_the_swap(
    storage: Storage, profile: Profile, clock: StoppedClock, draft: Draft
) -> None:
    release = accept(storage, draft, clock)
    with storage.read() as tx:
        assert releases.find_public_release(tx, release.slug) is None
        assert listings.page_ids(tx, "en", limit=10, before=None) == []
    publish(storage, profile, clock)
    with storage.read() as tx:
        shown = releases.find_public_release(tx, release.slug)
    assert shown
    assert shown.published_at == shown.updated_at


def test_a_draft_waits_until_it_is_published(
    storage: Storage, profile: Profile, clock: StoppedClock, draft: Draft
) -> None:
    release = accept_release(storage, draft, ReleaseState.DRAFT, clock(), make_desk(storage))
    publish(storage, profile, clock)
    assert items(storage, "/feeds/en.json") == []
    publish_release(storage, release.id, clock(), make_desk(storage), is_expected=lambda revision: True)
    publish(storage, profile, clock)
    assert len(items(storage, "/feeds/en.json")) == 1


def test_every_release_gets_an_instant_of_its_own(
    storage: Storage, profile: Profile, clock: StoppedClock, draft: Draft
) -> None:
    """Readers take two entries with one `updated` for the same; order is the order of acceptance."""
    accepted = [accept(storage, draft, clock) for _ in range(5)]
    publish(storage, profile, clock)
    clock.advance(seconds=-3600)  # a clock set back must not turn the order round
    accepted.append(accept(storage, draft, clock))
    publish(storage, profile, clock)
    shown = items(storage, "/feeds/en.json")
    assert [item["id"] for item in reversed(shown)] == [entry_id(release.id, "en") for release in accepted]
    instants = [item["date_modified"] for item in shown]
    assert instants == sorted(set(instants), reverse=True)


def test_two_swaps_never_share_a_second(
    storage: Storage, profile: Profile, clock: StoppedClock, draft: Draft
) -> None:
    """Last-Modified counts seconds; a reader that keeps one for other bytes never sees the change."""
    accept(storage, draft, clock)
    publish(storage, profile, clock)
    accept(storage, draft, clock)
    published = publish_due(storage, profile, clock)
    assert published.count == 0
    assert 0 < published.wait_seconds <= 1
    clock.advance(seconds=published.wait_seconds)
    assert publish_due(storage, profile, clock).count == 1


def test_unchanged_documents_keep_their_validators(
    storage: Storage, profile: Profile, clock: StoppedClock, draft: Draft
) -> None:
    accept(storage, draft, clock)
    publish(storage, profile, clock)
    with storage.read() as tx:
        before = {document.path: document for document in feeds.list_documents(tx, feeds.list_paths(tx))}
    changed = dataclasses.replace(profile, description={**profile.description, "en": "Other words"})
    publish(storage, changed, clock)
    with storage.read() as tx:
        after = {document.path: document for document in feeds.list_documents(tx, feeds.list_paths(tx))}
    assert after["/feeds/zh.atom"] == before["/feeds/zh.atom"]
    assert after["/feeds/en.atom"].etag != before["/feeds/en.atom"].etag
    assert after["/feeds/en.atom"].last_modified > before["/feeds/en.atom"].last_modified


def test_of_two_publishers_one_swaps(
    storage: Storage, profile: Profile, clock: StoppedClock, draft: Draft, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second comes between the first's reading and writing: the first must not put old documents over new."""
    publish(storage, profile, clock)
    accept(storage, draft, clock)
    clock.advance(seconds=2)
    counts: list[int] = []

    def clock_with_rival() -> Any:
        if not counts:
            counts.append(publish_due(storage, profile, clock).count)
        return clock()

    assert publish_due(storage, profile, clock_with_rival).count == 0
    assert counts == [1]
    assert len(items(storage, "/feeds/en.json")) == 1


def test_a_release_that_breaks_a_feed_is_set_aside(
    storage: Storage, profile: Profile, clock: StoppedClock, draft: Draft, caplog: pytest.LogCaptureFixture
) -> None:
    """One bad edition takes its whole release out, with an alarm, and leaves every other in every feed."""
    sound = accept(storage, draft, clock)
    english = dataclasses.replace(draft.editions[1], headline="Not XML: \x0b")
    bad = accept(storage, dataclasses.replace(draft, editions=(draft.editions[0], english)), clock)
    publish(storage, profile, clock)
    for name, tag in (("zh", "zh-Hans"), ("en", "en")):
        assert [item["id"] for item in items(storage, f"/feeds/{name}.json")] == [entry_id(sound.id, tag)]
    with storage.read() as tx:
        aside = releases.find_release(tx, bad.id)
        assert aside and aside.set_aside_at
        assert releases.find_public_release(tx, bad.slug) is None
        assert events.list_unpublished(tx, limit=9) == []
    assert str(bad.id) in caplog.text


def test_an_event_is_planned_once_for_each_subscription(
    storage: Storage, profile: Profile, clock: StoppedClock, draft: Draft
) -> None:
    order = {"partner": "P", "channel": "webhook", "callback": "https://p.example/", "languages": ["en"]}
    wanted = subscriptions.subscribe(storage, order, clock())
    subscriptions.subscribe(storage, {**order, "categories": ["events"]}, clock())
    release = accept(storage, draft, clock)
    assert plan_due(storage, profile, clock) == 0, "nothing is owed before it is public"
    publish(storage, profile, clock)
    assert plan_due(storage, profile, clock) == 1
    assert plan_due(storage, profile, clock) == 0
    with storage.read() as tx:
        [delivery] = deliveries.list_for_release(tx, release.id, limit=9, before=None)
    assert delivery.subscription_id == wanted.id


def test_a_push_carries_the_editions_that_were_ordered(
    storage: Storage, profile: Profile, clock: StoppedClock, draft: Draft
) -> None:
    order = {"partner": "P", "channel": "webhook", "callback": "https://p.example/", "languages": ["en"]}
    subscriptions.subscribe(storage, order, clock())
    release = accept(storage, draft, clock)
    publish(storage, profile, clock)
    plan_due(storage, profile, clock)
    with storage.write() as tx:
        [claim] = claims.hold_due(tx, "me", limit=9, now=clock(), until=clock()).read()
    message = json.loads(claim.body)
    assert message["type"] == "release.published"
    sent = message["data"]["release"]
    assert sent["id"] == str(release.id)
    assert sent["published_at"]
    assert list(sent["editions"]) == ["en"]
    assert sent["editions"]["en"]["body_text"] == draft.editions[1].body_text
    assert sent["editions"]["en"]["url"] == f"{profile.base_url}/en/releases/{release.slug}"


def test_the_tables_are_what_the_migrations_make(storage: Storage) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    from service.storage.tables import metadata

    with storage.read() as tx:
        assert isinstance(tx, sa.Connection)
        assert compare_metadata(MigrationContext.configure(tx), metadata) == []
