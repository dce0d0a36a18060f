"""A release's whole life as readers and partners see it: corrected, withdrawn, scheduled, archived, always as one."""

from __future__ import annotations

import dataclasses
import json
from datetime import timedelta
from typing import Any

import pytest
from lxml import etree

from service import subscriptions
from service.archives import find_archive
from service.errors import Invalid
from service.feeds import ARCHIVE_ENTRIES, entry_id
from service.lifecycle import IllegalMove
from service.model import DeliveryState, Document, EventType, ReleaseState
from service.publishing import BATCH
from service.receipts import list_receivers
from service.releases import (
    RevisionMismatch,
    get_release,
    publish_release,
    revise_release,
    schedule_release,
    unschedule_release,
)
from service.siblings import StaleSiblings
from service.storage import audit, claims, listings, releases
from tests.core.newsroom import ATOM, TOMBSTONE, Newsroom, archive, claim, link, notes, owed, pushed, subscribe

NAMES = (("zh", "zh-Hans"), ("en", "en"))


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


def test_what_was_withdrawn_behind_a_full_batch_never_shows(newsroom: Newsroom) -> None:
    """After an outage more waits than one swap carries; the last event of a release counts, not the first."""
    release = newsroom.accept()
    for _ in range(BATCH):
        newsroom.accept()
    newsroom.withdraw(release)
    newsroom.swap()
    with newsroom.storage.read() as tx:
        assert releases.find_public_release(tx, release.slug) is None
        assert listings.page_ids(tx, "en", limit=BATCH, before=None)


def test_what_was_corrected_before_anybody_saw_it_is_published_once(newsroom: Newsroom) -> None:
    subscribe(newsroom)
    release = newsroom.accept()
    newsroom.correct(release, "zh-Hans", "en")
    newsroom.swap()
    [delivery] = owed(newsroom, release)
    assert (delivery.event_type, delivery.revision) == (EventType.RELEASE_PUBLISHED, 2)
    assert newsroom.items("en")[0]["title"].endswith(" 2")


def test_a_correction_shows_nowhere_before_the_swap(newsroom: Newsroom) -> None:
    """Neither in an archive, which is drawn when it is asked for, nor in a feed that another release has drawn anew."""
    first = [newsroom.accept() for _ in range(ARCHIVE_ENTRIES)]
    newsroom.swap()
    before = etree.tostring(archive(newsroom, 1))
    newsroom.clock.advance(minutes=5)
    newsroom.correct(first[3], "zh-Hans", "en")
    assert etree.tostring(archive(newsroom, 1)) == before
    newsroom.swap()
    assert etree.tostring(archive(newsroom, 1)) != before


def test_readers_are_told_only_of_corrections_to_what_they_saw(newsroom: Newsroom) -> None:
    """The notes that staff made on a draft are the newsroom's own, on its page and in pushes."""
    subscribe(newsroom)
    release = newsroom.accept(ReleaseState.DRAFT)
    newsroom.draft = dataclasses.replace(newsroom.changed("en"), change_note={"en": "Not cleared by the board."})
    newsroom.correct(release)
    newsroom.move(publish_release, release)
    newsroom.swap()
    assert notes(newsroom, release) == []
    [push] = pushed(newsroom)
    assert (push["state"], push["change_note"]) == ("published", {})
    newsroom.draft = dataclasses.replace(newsroom.draft, change_note={"en": "A date was wrong."})
    newsroom.correct(release, "zh-Hans", "en")
    assert notes(newsroom, release) == []
    newsroom.swap()
    assert notes(newsroom, release) == [{"en": "A date was wrong."}]
    [push] = pushed(newsroom)
    assert (push["state"], push["change_note"]) == ("corrected", {"en": "A date was wrong."})


@pytest.mark.parametrize("is_public", [False, True])
def test_a_clock_set_back_does_not_turn_a_life_round(newsroom: Newsroom, is_public: bool) -> None:
    """A withdrawal is the last thing that happens to a release, also where it bears an earlier time than the first."""
    release = newsroom.accept()
    if is_public:
        newsroom.swap()
        newsroom.correct(release, "zh-Hans", "en")
    newsroom.clock.advance(hours=-1)
    newsroom.withdraw(release)
    newsroom.swap()
    assert newsroom.items("en") == newsroom.items("zh") == []
    assert len(newsroom.atom("en").findall(TOMBSTONE)) == is_public


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


def test_what_a_dead_courier_held_is_not_sent_once_something_newer_is_owed(newsroom: Newsroom) -> None:
    subscribe(newsroom)
    release = newsroom.accept()
    newsroom.swap()
    assert [push["state"] for push in pushed(newsroom)] == ["published"]
    newsroom.withdraw(release)
    newsroom.swap()
    assert [push["state"] for push in pushed(newsroom)] == ["withdrawn"]
    states = [(delivery.event_type, delivery.state) for delivery in owed(newsroom, release)]
    assert (EventType.RELEASE_PUBLISHED, DeliveryState.SUPERSEDED) in states


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


@pytest.mark.parametrize("format", ["diglot", "ninjs"])
def test_a_partner_is_told_where_the_pages_of_the_successor_are(newsroom: Newsroom, format: str) -> None:
    """Its id alone tells a partner nothing, for no API shows it a release."""
    order = {
        "partner": "P", "channel": "webhook", "callback": "https://p.example/", "languages": ["en"], "format": format,
    }
    subscriptions.subscribe(newsroom.storage, order, newsroom.clock())
    release, successor = newsroom.accept(), newsroom.accept()
    newsroom.swap()
    assert len(pushed_bodies(newsroom)) == 1
    newsroom.withdraw(release, superseded_by=successor.id)
    newsroom.clock.advance(seconds=60)
    newsroom.swap()
    told = pushed_bodies(newsroom)[0]
    url = f"http://127.0.0.1:8080/en/releases/{successor.slug}"
    if format == "diglot":
        assert told["data"]["release"]["withdrawal"]["successor_urls"]["en"] == url
    else:
        items = [told, *(each for each in told["associations"] if each["rel"] == "translation")]
        [item] = [each for each in items if each["language"] == "en"]
        assert {"name": "successor", "href": url, "contentType": "text/html"} in item["renditions"]


def pushed_bodies(newsroom: Newsroom) -> list[Any]:
    with newsroom.storage.write() as tx:
        held = claims.hold_due(tx, "courier", limit=9, now=newsroom.clock(), until=newsroom.clock()).read()
    return [json.loads(hold.body) for hold in held]
