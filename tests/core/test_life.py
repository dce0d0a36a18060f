"""A release's whole life as readers and partners see it: corrected, withdrawn, scheduled, archived, always as one."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from lxml import etree

from service import subscriptions
from service.archives import find_archive
from service.config import Profile
from service.deliveries import plan_due
from service.errors import Invalid
from service.feeds import ARCHIVE_ENTRIES, entry_id
from service.lifecycle import IllegalMove
from service.model import ApiKey, DeliveryState, Document, Draft, EventType, Release, ReleaseState, Withdrawal
from service.publishing import publish_due
from service.receipts import list_receivers
from service.releases import (
    RevisionMismatch,
    accept_release,
    get_release,
    publish_release,
    publish_scheduled,
    revise_release,
    schedule_release,
    unschedule_release,
    withdraw_release,
)
from service.siblings import StaleSiblings
from service.storage import Storage, audit, deliveries, feeds, releases
from service.validation import validate_release
from tests.conftest import StoppedClock
from tests.factories import make_desk

ATOM = "{http://www.w3.org/2005/Atom}"
TOMBSTONE = "{http://purl.org/atompub/tombstones/1.0}deleted-entry"
NAMES = (("zh", "zh-Hans"), ("en", "en"))


@pytest.fixture
def draft(release_document: dict[str, Any], profile: Profile) -> Draft:
    return validate_release(release_document, profile)


class Newsroom:
    """The core in a few words."""

    def __init__(self, storage: Storage, profile: Profile, clock: StoppedClock, draft: Draft) -> None:
        self.storage, self.profile, self.clock, self.draft = storage, profile, clock, draft
        self.desk: ApiKey = make_desk(storage)

    def accept(self, state: ReleaseState = ReleaseState.PUBLISHED, **more: Any) -> Release:
        return accept_release(self.storage, self.draft, state, self.clock(), self.desk, **more)

    def move(self, action: Callable[..., Release], release: Release, *what: Any, **more: Any) -> Release:
        return action(
            self.storage, release.id, *what, self.clock(), self.desk, is_expected=lambda revision: True, **more
        )

    def correct(self, release: Release, *languages: str, **more: Any) -> Release:
        return self.move(revise_release, release, self.changed(*languages), **more)

    def changed(self, *languages: str) -> Draft:
        editions = (
            dataclasses.replace(edition, headline=f"{edition.headline} 2") if edition.language in languages else edition
            for edition in self.draft.editions
        )
        return dataclasses.replace(self.draft, editions=tuple(editions))

    def withdraw(self, release: Release, **more: Any) -> Release:
        return self.move(withdraw_release, release, Withdrawal(reason={"en": "An error."}, **more))

    def swap(self) -> int:
        """What the publish task does, a second later."""
        self.clock.advance(seconds=1)
        while publish_scheduled(self.storage, self.clock()):
            pass
        count = publish_due(self.storage, self.profile, self.clock).count
        plan_due(self.storage, self.profile, self.clock)
        return count

    def items(self, name: str) -> list[Any]:
        return json.loads(self.body(f"/feeds/{name}.json"))["items"]

    def atom(self, name: str) -> Any:
        return etree.fromstring(self.body(f"/feeds/{name}.atom"))

    def body(self, path: str) -> bytes:
        with self.storage.read() as tx:
            found = feeds.find_document(tx, path)
        assert found
        return found[1].body


@pytest.fixture
def newsroom(storage: Storage, profile: Profile, clock: StoppedClock, draft: Draft) -> Newsroom:
    room = Newsroom(storage, profile, clock, draft)
    room.swap()
    return room


def test_a_correction_changes_every_feed_at_once_and_keeps_its_ids(newsroom: Newsroom) -> None:
    release = newsroom.accept()
    newsroom.swap()
    before = {name: newsroom.items(name)[0] for name, _ in NAMES}
    newsroom.correct(release, "zh-Hans", "en")
    assert {name: newsroom.items(name)[0] for name, _ in NAMES} == before, "nothing shows before the swap"
    newsroom.swap()
    for name, tag in NAMES:
        [item] = newsroom.items(name)
        assert item["id"] == entry_id(release.id, tag) == before[name]["id"]
        assert item["title"] == f"{before[name]['title']} 2"
        assert item["date_published"] == before[name]["date_published"]
        assert item["date_modified"] > before[name]["date_modified"]


def test_a_corrected_old_release_comes_back_into_the_current_feed(newsroom: Newsroom) -> None:
    """Readers that only follow the current feed must not miss the correction (RFC 5005 section 4)."""
    old = newsroom.accept()
    for _ in range(newsroom.profile.feed_entries):
        newsroom.accept()
    newsroom.swap()
    assert entry_id(old.id, "en") not in {item["id"] for item in newsroom.items("en")}
    newsroom.correct(old, "zh-Hans", "en")
    newsroom.swap()
    assert newsroom.items("en")[0]["id"] == entry_id(old.id, "en")


def test_a_correction_of_one_edition_alone_is_refused_by_name(newsroom: Newsroom) -> None:
    release = newsroom.accept()
    with pytest.raises(StaleSiblings) as refused:
        newsroom.correct(release, "zh-Hans")
    assert [fault.pointer for fault in refused.value.faults] == ["/editions/en"]
    assert get_release(newsroom.storage, release.id).revision == 1


def test_siblings_may_be_declared_unaffected_and_that_is_kept(newsroom: Newsroom) -> None:
    release = newsroom.accept()
    corrected = newsroom.correct(release, "zh-Hans", siblings_unaffected=True)
    assert (corrected.state, corrected.revision, corrected.unaffected) == (ReleaseState.CORRECTED, 2, ("en",))
    assert get_release(newsroom.storage, release.id).unaffected == ("en",)


def test_a_draft_leaves_nobody_behind(newsroom: Newsroom) -> None:
    draft = newsroom.accept(ReleaseState.DRAFT)
    assert newsroom.correct(draft, "zh-Hans").state is ReleaseState.DRAFT


def test_the_same_text_again_makes_no_revision(newsroom: Newsroom) -> None:
    release = newsroom.accept()
    assert newsroom.correct(release).revision == 1
    newsroom.swap()
    assert newsroom.swap() == 0


def test_a_revision_that_the_caller_has_not_seen_is_not_overwritten(newsroom: Newsroom) -> None:
    release = newsroom.accept()
    newsroom.correct(release, "zh-Hans", "en")
    with pytest.raises(RevisionMismatch):
        revise_release(
            newsroom.storage, release.id, newsroom.draft, newsroom.clock(), newsroom.desk, is_expected={1}.__contains__
        )


def test_a_withdrawal_leaves_every_feed_at_once_with_tombstones(newsroom: Newsroom) -> None:
    release, other = newsroom.accept(), newsroom.accept()
    newsroom.swap()
    updated = newsroom.atom("en").findtext(f"{ATOM}updated")
    newsroom.withdraw(release)
    newsroom.swap()
    for name, tag in NAMES:
        assert [item["id"] for item in newsroom.items(name)] == [entry_id(other.id, tag)]
        [stone] = newsroom.atom(name).findall(TOMBSTONE)
        assert stone.get("ref") == entry_id(release.id, tag)
        assert newsroom.atom(name).findtext(f"{ATOM}updated") == stone.get("when") > updated


def test_a_withdrawn_release_stays_withdrawn(newsroom: Newsroom) -> None:
    release = newsroom.accept()
    newsroom.withdraw(release)
    for refused in (
        lambda: newsroom.correct(release, "zh-Hans", "en"),
        lambda: newsroom.withdraw(release),
        lambda: newsroom.move(publish_release, release),
    ):
        with pytest.raises(IllegalMove) as error:
            refused()
        assert error.value.params["allowed"] == []


def test_what_was_withdrawn_before_anybody_saw_it_never_shows(newsroom: Newsroom) -> None:
    release = newsroom.accept()
    newsroom.withdraw(release)
    newsroom.swap()
    assert newsroom.items("en") == []
    assert newsroom.atom("en").findall(TOMBSTONE) == [], "a tombstone would tell of it"
    with newsroom.storage.read() as tx:
        assert releases.find_public_release(tx, release.slug) is None


def test_what_was_corrected_before_anybody_saw_it_is_published_once(newsroom: Newsroom) -> None:
    subscribe(newsroom)
    release = newsroom.accept()
    newsroom.correct(release, "zh-Hans", "en")
    newsroom.swap()
    [delivery] = owed(newsroom, release)
    assert (delivery.event_type, delivery.revision) == (EventType.RELEASE_PUBLISHED, 2)
    assert newsroom.items("en")[0]["title"].endswith(" 2")


def test_a_category_that_a_correction_takes_away_loses_the_entry(newsroom: Newsroom) -> None:
    category, other = list(newsroom.profile.categories)[:2]
    newsroom.draft = dataclasses.replace(newsroom.draft, categories=(category,))
    release = newsroom.accept()
    newsroom.swap()
    assert len(newsroom.items(f"en/{category}")) == 1
    newsroom.draft = dataclasses.replace(newsroom.draft, categories=(other,))
    newsroom.correct(release)
    newsroom.swap()
    assert newsroom.items(f"en/{category}") == []
    assert newsroom.atom(f"en/{category}").findall(TOMBSTONE) == [], "the release itself lives on"
    assert len(newsroom.items(f"zh/{other}")) == len(newsroom.items("zh")) == 1


def test_a_scheduled_release_goes_public_at_its_second_and_not_before(newsroom: Newsroom) -> None:
    at = newsroom.clock() + timedelta(minutes=5)
    release = newsroom.accept(ReleaseState.SCHEDULED, publish_at=at)
    newsroom.swap()
    newsroom.clock.now = at - timedelta(seconds=1, microseconds=1)
    newsroom.swap()
    assert newsroom.items("en") == []
    newsroom.clock.now = at - timedelta(seconds=1)
    newsroom.swap()
    assert [item["id"] for item in newsroom.items("zh")] == [entry_id(release.id, "zh-Hans")]


def test_after_an_outage_overdue_releases_go_out_at_once_in_their_order(newsroom: Newsroom) -> None:
    now = newsroom.clock()
    late, early = (
        newsroom.accept(ReleaseState.SCHEDULED, publish_at=now + timedelta(minutes=minutes)) for minutes in (9, 3)
    )
    newsroom.clock.advance(hours=1)
    newsroom.swap()
    assert [item["id"] for item in newsroom.items("en")] == [entry_id(r.id, "en") for r in (late, early)]


def test_a_schedule_can_be_moved_taken_back_and_overtaken(newsroom: Newsroom) -> None:
    at = newsroom.clock() + timedelta(minutes=5)
    release = newsroom.accept(ReleaseState.SCHEDULED, publish_at=at)
    moved = newsroom.move(schedule_release, release, at + timedelta(hours=1))
    assert moved.publish_at == at + timedelta(hours=1)
    assert newsroom.move(unschedule_release, release).state is ReleaseState.DRAFT
    newsroom.clock.advance(hours=2)
    newsroom.swap()
    assert newsroom.items("en") == []
    assert newsroom.move(publish_release, release).state is ReleaseState.PUBLISHED


@pytest.mark.parametrize("seconds", [0, -1])
def test_a_moment_that_is_over_is_no_schedule(newsroom: Newsroom, seconds: int) -> None:
    with pytest.raises(Invalid) as refused:
        newsroom.accept(ReleaseState.SCHEDULED, publish_at=newsroom.clock() + timedelta(seconds=seconds))
    assert [(fault.pointer, fault.code) for fault in refused.value.faults] == [("/publish_at", "in_the_past")]


def test_an_archive_changes_only_with_the_releases_in_it(newsroom: Newsroom) -> None:
    first = [newsroom.accept() for _ in range(ARCHIVE_ENTRIES)]
    newsroom.swap()
    before = archive(newsroom, 1)
    assert len(before.findall(f"{ATOM}entry")) == ARCHIVE_ENTRIES
    assert link(before, "prev-archive") is None
    assert link(before, "current") == newsroom.profile.feed_address(newsroom.profile.languages[1]) + ".atom"
    for _ in range(ARCHIVE_ENTRIES):
        newsroom.accept()
    newsroom.swap()
    assert etree.tostring(archive(newsroom, 1)) == etree.tostring(before)
    assert link(archive(newsroom, 2), "prev-archive") == link(before, "self")
    assert link(newsroom.atom("en"), "prev-archive") == link(archive(newsroom, 2), "self")
    newsroom.withdraw(first[3])
    newsroom.swap()
    after = archive(newsroom, 1)
    assert [stone.get("ref") for stone in after.findall(TOMBSTONE)] == [entry_id(first[3].id, "en")]
    assert len(after.findall(f"{ATOM}entry")) == ARCHIVE_ENTRIES - 1


def test_an_archive_is_drawn_again_only_when_a_release_in_it_changed(newsroom: Newsroom) -> None:
    language = newsroom.profile.languages[0]

    def find(drawn: Document | None = None) -> tuple[int, Document]:
        found = find_archive(newsroom.storage, newsroom.profile, language, 1, "json", drawn)
        assert found
        return found

    first = [newsroom.accept() for _ in range(ARCHIVE_ENTRIES)]
    newsroom.swap()
    generation, drawn = find()
    newsroom.accept()
    newsroom.swap()
    assert find(drawn) == (generation + 1, drawn)
    assert find(drawn)[1] is drawn
    newsroom.correct(first[3], "zh-Hans", "en")
    newsroom.swap()
    assert find(drawn)[1].body != drawn.body
    newsroom.profile = dataclasses.replace(newsroom.profile, contact_email="desk@example.org")
    generation, drawn = find(find(drawn)[1])
    newsroom.swap()
    assert find(drawn)[1] is not drawn


def test_current_feed_and_archives_hold_every_release(newsroom: Newsroom) -> None:
    """Whatever was corrected meanwhile, a reader that walks back misses none (RFC 5005 section 4)."""
    newsroom.profile = dataclasses.replace(newsroom.profile, feed_entries=3)
    accepted = [newsroom.accept() for _ in range(ARCHIVE_ENTRIES + 7)]
    newsroom.swap()
    for release in accepted[:5]:
        newsroom.correct(release, "zh-Hans", "en")
    newsroom.swap()
    documents = [newsroom.atom("en"), archive(newsroom, 1)]
    found = {entry.findtext(f"{ATOM}id") for document in documents for entry in document.findall(f"{ATOM}entry")}
    assert found == {entry_id(release.id, "en") for release in accepted}
    assert find_archive(newsroom.storage, newsroom.profile, newsroom.profile.languages[0], 2, "atom") is None


def test_a_correction_retires_what_still_waits_and_a_withdrawal_is_told_to_all_who_were_told(
    newsroom: Newsroom,
) -> None:
    told, waiting = subscribe(newsroom), subscribe(newsroom)
    release = newsroom.accept()
    newsroom.swap()
    claim(newsroom, told)
    newsroom.correct(release, "zh-Hans", "en")
    newsroom.swap()
    states = {(d.subscription_id, d.event_type): d.state for d in owed(newsroom, release)}
    assert states[waiting, EventType.RELEASE_PUBLISHED] is DeliveryState.SUPERSEDED
    assert states[waiting, EventType.RELEASE_CORRECTED] is DeliveryState.DUE
    with newsroom.storage.write() as tx:
        tx.exec_driver_sql("UPDATE subscriptions SET categories = '[\"events\"]'")
    newsroom.withdraw(release)
    newsroom.swap()
    withdrawals = {
        d.subscription_id for d in owed(newsroom, release) if d.event_type is EventType.RELEASE_WITHDRAWN
    }
    assert withdrawals == {told}, "whoever was never sent anything needs no withdrawal"


def test_receipts_say_per_language_what_was_sent_and_what_is_owed(newsroom: Newsroom) -> None:
    subscribe(newsroom)
    release = newsroom.accept()
    newsroom.swap()
    [receiver] = list_receivers(newsroom.storage, release, limit=9)
    assert {receipt.language for receipt in receiver.receipts} == {"zh-Hans", "en"}
    assert all(receipt.owed and receipt.accepted is None for receipt in receiver.receipts)


def test_the_audit_log_tells_who_did_what_and_refuses_to_forget(newsroom: Newsroom) -> None:
    release = newsroom.accept(ReleaseState.DRAFT)
    newsroom.move(publish_release, release)
    newsroom.swap()
    newsroom.withdraw(release)
    with newsroom.storage.read() as tx:
        entries = audit.list_entries(tx, limit=9, release_id=release.id)
    told = [(entry.action, entry.actor) for entry in reversed(entries)]
    assert told == [("accepted", "desk"), ("published", "desk"), ("went_public", "diglot"), ("withdrawn", "desk")]
    for statement in ("UPDATE audit SET actor = 'nobody'", "DELETE FROM audit"):
        with pytest.raises(Exception, match="append-only"), newsroom.storage.write() as tx:
            tx.exec_driver_sql(statement)


def subscribe(newsroom: Newsroom) -> Any:
    order = {
        "partner": "P", "channel": "webhook", "callback": "https://p.example/", "languages": ["en", "zh-Hans"],
    }
    return subscriptions.subscribe(newsroom.storage, order, newsroom.clock()).id


def claim(newsroom: Newsroom, subscription_id: Any) -> None:
    """As a courier does that then dies: the partner may have it, for all that anybody knows."""
    until = newsroom.clock() + timedelta(seconds=20)
    with newsroom.storage.write() as tx:
        held = deliveries.claim_due(tx, "courier", limit=1, now=newsroom.clock(), until=until)
    assert [hold.subscription_id for hold in held] == [subscription_id]


def owed(newsroom: Newsroom, release: Release) -> list[Any]:
    with newsroom.storage.read() as tx:
        return deliveries.list_for_release(tx, release.id, limit=50, before=None)


def archive(newsroom: Newsroom, number: int) -> Any:
    found = find_archive(newsroom.storage, newsroom.profile, newsroom.profile.languages[1], number, "atom")
    assert found
    return etree.fromstring(found[1].body)


def link(document: Any, rel: str) -> str | None:
    return next((each.get("href") for each in document.findall(f"{ATOM}link") if each.get("rel") == rel), None)
