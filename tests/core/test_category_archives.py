"""A category's feed is as complete as the feed of all releases: archives of its own, cut by its own count."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from uuid import UUID

import pytest
import sqlalchemy as sa
from lxml import etree

from service.archives import find_archive
from service.feeds import ARCHIVE_ENTRIES, entry_id
from service.model import Document, Release
from service.publishing import publish_due
from service.storage import releases
from service.storage.tables import slots
from tests.core.newsroom import ATOM, TOMBSTONE, Newsroom, link

CATEGORY, OTHER = "visits", "events"
NAMES = {"zh": "zh-Hans", "en": "en"}
CHINESE_ONLY = 7


def accept(newsroom: Newsroom, count: int, *categories: str) -> list[Release]:
    newsroom.draft = dataclasses.replace(newsroom.draft, categories=categories)
    return [newsroom.accept() for _ in range(count)]


def move(newsroom: Newsroom, release: Release, *categories: str) -> None:
    """A correction of nothing but the categories."""
    with newsroom.storage.read() as tx:
        shown = releases.find_release(tx, release.id)
    assert shown
    newsroom.draft = dataclasses.replace(newsroom.draft, editions=shown.editions, categories=categories)
    newsroom.correct(release)
    newsroom.swap()


def find(newsroom: Newsroom, name: str, number: int, format: str = "atom", category: str = CATEGORY) -> Document:
    language = newsroom.profile.find_language_by_url_name(name)
    assert language
    found = find_archive(newsroom.storage, newsroom.profile, language, number, format, category=category)
    assert found, f"no archive {number}"
    return found[1]


def every(newsroom: Newsroom, number: int, category: str = CATEGORY) -> list[Document]:
    """The archive in each language and format."""
    return [find(newsroom, name, number, format, category) for name in NAMES for format in ("atom", "json")]


def is_there(newsroom: Newsroom, number: int, category: str = CATEGORY) -> bool:
    language = newsroom.profile.languages[0]
    return find_archive(newsroom.storage, newsroom.profile, language, number, "atom", category=category) is not None


def entry_ids(body: bytes, format: str) -> list[str]:
    if format == "json":
        return [item["id"] for item in json.loads(body)["items"]]
    return [entry.findtext(f"{ATOM}id") for entry in etree.fromstring(body).findall(f"{ATOM}entry")]


def stones(body: bytes) -> list[str]:
    return [stone.get("ref") for stone in etree.fromstring(body).findall(TOMBSTONE)]


def walk(newsroom: Newsroom, name: str, format: str, category: str = CATEGORY) -> Iterator[bytes]:
    """The current feed, and from it back through its archives as its links lead."""
    base = f"{newsroom.profile.base_url}/feeds/{name}/{category}/archive/"
    body = newsroom.body(f"/feeds/{name}/{category}.{format}")
    while True:
        yield body
        older = json.loads(body).get("next_url") if format == "json" else link(etree.fromstring(body), "prev-archive")
        if older is None:
            return
        assert older.startswith(base) and older.endswith(f".{format}")
        body = find(newsroom, name, int(older.removeprefix(base).removesuffix(f".{format}")), format, category).body


def ids_of(found: Sequence[Release], name: str) -> set[str]:
    return {entry_id(release.id, NAMES[name]) for release in found}


def numbers(newsroom: Newsroom) -> dict[tuple[str, UUID], int]:
    with newsroom.storage.read() as tx:
        return {(row.category, row.release_id): row.number for row in tx.execute(sa.select(slots))}


@pytest.fixture
def short(newsroom: Newsroom) -> Newsroom:
    """Its current feeds show three, so that what neither they nor an archive hold would be missed."""
    newsroom.profile = dataclasses.replace(newsroom.profile, feed_entries=3)
    return newsroom


@pytest.mark.parametrize("format", ["atom", "json"])
def test_whoever_walks_back_meets_each_release_of_the_category_once(short: Newsroom, format: str) -> None:
    """In each language those that are in it, whatever else goes public between them and in how many swaps."""
    everywhere, both = short.draft.editions, []
    for count in (9, 17, 1, 24, 12):
        both += accept(short, count, CATEGORY)
        both += accept(short, 2, OTHER, CATEGORY)
        accept(short, 5, OTHER)
        short.swap()
    short.draft = dataclasses.replace(short.draft, editions=everywhere[:1])
    chinese = accept(short, CHINESE_ONLY, CATEGORY)
    short.swap()
    for name, expected in (("zh", ids_of(both + chinese, "zh")), ("en", ids_of(both, "en"))):
        current, *archives = [entry_ids(body, format) for body in walk(short, name, format)]
        held = Counter(id for ids in archives for id in ids)
        assert set(held.values()) == {1}, "each is in one archive"
        assert held.keys() | set(current) == expected
        assert {len(ids) for ids in archives} == {ARCHIVE_ENTRIES}, "few are not full, though most news is elsewhere"


def test_an_archive_of_a_category_is_marked_and_linked_as_any_other(newsroom: Newsroom) -> None:
    accept(newsroom, 2 * ARCHIVE_ENTRIES, CATEGORY)
    newsroom.swap()
    address = newsroom.profile.feed_address(newsroom.profile.languages[1], CATEGORY)
    current, second, first = (etree.fromstring(body) for body in walk(newsroom, "en", "atom"))
    assert [link(each, "self") for each in (second, first)] == [f"{address}/archive/{n}.atom" for n in (2, 1)]
    for document in (second, first):
        assert document.find("{http://purl.org/syndication/history/1.0}archive") is not None
        assert link(document, "current") == f"{address}.atom"
        assert document.findtext(f"{ATOM}id") == current.findtext(f"{ATOM}id"), "the same logical feed"
        assert link(document, "hub") is None
    assert find(newsroom, "en", 1).path == f"/feeds/en/{CATEGORY}/archive/1.atom"


def test_there_is_no_archive_until_it_is_full_nor_of_what_is_no_category(newsroom: Newsroom) -> None:
    accept(newsroom, ARCHIVE_ENTRIES, OTHER)
    held = accept(newsroom, ARCHIVE_ENTRIES - 1, CATEGORY)
    newsroom.swap()
    assert not is_there(newsroom, 1) and is_there(newsroom, 1, OTHER)
    assert not is_there(newsroom, 0, OTHER) and not is_there(newsroom, 2, OTHER)
    assert link(newsroom.atom(f"en/{CATEGORY}"), "prev-archive") is None
    assert not is_there(newsroom, 1, "none-such")
    newsroom.correct(held[0], "zh-Hans", "en")
    newsroom.swap()
    assert link(newsroom.atom(f"en/{CATEGORY}"), "prev-archive") is None, "a correction counts for nothing"
    accept(newsroom, 1, CATEGORY)
    newsroom.swap()
    assert is_there(newsroom, 1)


def test_what_is_published_or_corrected_elsewhere_changes_no_archive(newsroom: Newsroom) -> None:
    accept(newsroom, ARCHIVE_ENTRIES, CATEGORY)
    newsroom.swap()
    before = every(newsroom, 1)
    for categories in ((CATEGORY,), (OTHER,), (CATEGORY, OTHER)):
        later = accept(newsroom, ARCHIVE_ENTRIES, *categories)
        newsroom.swap()
        newsroom.correct(later[0], "zh-Hans", "en")
        newsroom.swap()
        newsroom.withdraw(later[1])
        newsroom.swap()
        assert every(newsroom, 1) == before, "bytes, ETag and Last-Modified"


@pytest.mark.parametrize("how", ["correct", "withdraw"])
def test_a_correction_or_withdrawal_changes_the_archive_that_holds_the_release_alone(
    newsroom: Newsroom, how: str
) -> None:
    held = accept(newsroom, 3 * ARCHIVE_ENTRIES, CATEGORY)
    newsroom.swap()
    before = [every(newsroom, number) for number in (1, 2, 3)]
    release = held[ARCHIVE_ENTRIES + 3]
    if how == "correct":
        newsroom.correct(release, "zh-Hans", "en")
    else:
        newsroom.withdraw(release)
    newsroom.swap()
    after = [every(newsroom, number) for number in (1, 2, 3)]
    assert (after[0], after[2]) == (before[0], before[2])
    for old, new in zip(before[1], after[1], strict=True):
        assert new.etag != old.etag and new.last_modified > old.last_modified
    for name, tag in NAMES.items():
        body = find(newsroom, name, 2).body
        gone = [entry_id(release.id, tag)] if how == "withdraw" else []
        assert stones(body) == gone
        assert len(entry_ids(body, "atom")) == ARCHIVE_ENTRIES - len(gone)


def test_what_leaves_a_category_leaves_its_slot_empty_and_no_tombstone(newsroom: Newsroom) -> None:
    """It is not withdrawn; and the others stay in the archives where they are."""
    held = accept(newsroom, 2 * ARCHIVE_ENTRIES, CATEGORY)
    newsroom.swap()
    before = [every(newsroom, number) for number in (1, 2)]
    move(newsroom, held[4], OTHER)
    for name, tag in NAMES.items():
        body = find(newsroom, name, 1).body
        assert stones(body) == []
        left = [each for each in held[:ARCHIVE_ENTRIES] if each is not held[4]]
        assert entry_ids(body, "atom") == [entry_id(each.id, tag) for each in reversed(left)]
        old = next(each.body for each in before[0] if each.path == f"/feeds/{name}/{CATEGORY}/archive/1.atom")
        updated = [etree.fromstring(each).findtext(f"{ATOM}updated") for each in (old, body)]
        assert updated[1] > updated[0]
    assert all(new.last_modified > old.last_modified for old, new in zip(before[0], every(newsroom, 1), strict=True))
    assert every(newsroom, 2) == before[1]


def test_a_correction_of_what_has_left_a_category_changes_none_of_its_archives(newsroom: Newsroom) -> None:
    held = accept(newsroom, ARCHIVE_ENTRIES, CATEGORY)
    newsroom.swap()
    move(newsroom, held[4], OTHER)
    before = every(newsroom, 1)
    newsroom.correct(held[4], "zh-Hans", "en")
    newsroom.swap()
    assert every(newsroom, 1) == before


def test_a_withdrawal_is_told_of_in_each_category_where_readers_ever_saw_the_release(newsroom: Newsroom) -> None:
    """They may have kept what left the category; in the current feed, also after later swaps, and in the archive."""
    held = accept(newsroom, ARCHIVE_ENTRIES, CATEGORY)
    newsroom.swap()
    move(newsroom, held[4], OTHER)
    newsroom.withdraw(held[4])
    newsroom.swap()
    for later in range(2):
        for name, tag in NAMES.items():
            for category in (CATEGORY, OTHER):
                assert stones(newsroom.body(f"/feeds/{name}/{category}.atom")) == [entry_id(held[4].id, tag)], later
            assert stones(newsroom.body(f"/feeds/{name}/agreements.atom")) == []
            assert stones(find(newsroom, name, 1).body) == [entry_id(held[4].id, tag)]
        accept(newsroom, 1, CATEGORY, OTHER)
        newsroom.swap()


def test_what_left_before_an_archive_held_it_is_in_the_current_feed_no_more(short: Newsroom) -> None:
    held = accept(short, 9, CATEGORY)
    short.swap()
    move(short, held[0], OTHER)
    held += accept(short, 1, CATEGORY)
    short.swap()
    assert {item["id"] for item in short.items(f"en/{CATEGORY}")} == ids_of(held[1:], "en")


def test_what_comes_back_into_a_category_has_its_old_slot_and_is_told_of_in_the_current_feed(short: Newsroom) -> None:
    held = accept(short, 2 * ARCHIVE_ENTRIES, CATEGORY)
    short.swap()
    before = every(short, 1), every(short, 2)
    move(short, held[4])
    move(short, held[4], CATEGORY)
    for name in NAMES:
        assert ids_of(held, name) == {id for body in walk(short, name, "json") for id in entry_ids(body, "json")}
        assert short.items(f"{name}/{CATEGORY}")[0]["id"] == entry_id(held[4].id, NAMES[name])
    assert every(short, 2) == before[1]
    assert [len(entry_ids(each.body, each.path[-4:])) for each in every(short, 1)] == [ARCHIVE_ENTRIES] * 4


def test_what_a_correction_brings_into_a_category_has_the_next_number(newsroom: Newsroom) -> None:
    """However old it is: what an archive held before, it holds still."""
    [old] = accept(newsroom, 1, OTHER)
    accept(newsroom, 2 * ARCHIVE_ENTRIES - 1, CATEGORY)
    newsroom.swap()
    before = every(newsroom, 1)
    move(newsroom, old, OTHER, CATEGORY)
    assert every(newsroom, 1) == before
    for name, tag in NAMES.items():
        assert entry_ids(find(newsroom, name, 2).body, "atom")[0] == entry_id(old.id, tag)


def test_a_number_is_given_once_though_the_last_one_left(newsroom: Newsroom) -> None:
    held = accept(newsroom, ARCHIVE_ENTRIES, CATEGORY)
    newsroom.swap()
    move(newsroom, held[-1], OTHER)
    assert is_there(newsroom, 1), "an archive that was full stays"
    before = every(newsroom, 1)
    accept(newsroom, 1, CATEGORY)
    newsroom.swap()
    assert every(newsroom, 1) == before


def test_what_breaks_a_feed_has_its_number_and_shows_nowhere(newsroom: Newsroom) -> None:
    """So that the feed, which was drawn before anybody knew, leads to an archive that is there."""
    sound = accept(newsroom, ARCHIVE_ENTRIES - 1, CATEGORY)
    english = dataclasses.replace(newsroom.draft.editions[1], headline="Not XML: \x0b")
    whole = newsroom.draft
    newsroom.draft = dataclasses.replace(whole, editions=(whole.editions[0], english))
    bad = newsroom.accept()
    newsroom.swap()
    bodies = list(walk(newsroom, "en", "atom"))
    assert len(bodies) == 2 and set(entry_ids(bodies[1], "atom")) == ids_of(sound, "en")
    newsroom.draft = dataclasses.replace(whole, categories=(CATEGORY, OTHER))
    newsroom.correct(bad, "zh-Hans", "en")
    newsroom.swap()
    assert set(entry_ids(find(newsroom, "en", 1).body, "atom")) == ids_of([*sound, bad], "en")
    assert [item["id"] for item in newsroom.items(f"en/{OTHER}")] == [entry_id(bad.id, "en")]


def test_a_withdrawal_stays_told_of_in_a_category_that_it_left_unseen(newsroom: Newsroom) -> None:
    """Corrected out of the category and withdrawn in one swap: its readers know nothing but the release."""
    held = accept(newsroom, ARCHIVE_ENTRIES, CATEGORY)
    newsroom.swap()
    newsroom.draft = dataclasses.replace(newsroom.draft, categories=(OTHER,))
    newsroom.correct(held[4])
    newsroom.withdraw(held[4])
    newsroom.swap()
    accept(newsroom, 1, CATEGORY)
    newsroom.swap()
    for body in (newsroom.body(f"/feeds/en/{CATEGORY}.atom"), find(newsroom, "en", 1).body):
        assert stones(body) == [entry_id(held[4].id, "en")]


def test_what_is_withdrawn_on_its_way_into_a_category_takes_no_number_there(newsroom: Newsroom) -> None:
    held = accept(newsroom, 2, OTHER)
    newsroom.swap()
    newsroom.draft = dataclasses.replace(newsroom.draft, categories=(OTHER, CATEGORY))
    newsroom.correct(held[0])
    newsroom.withdraw(held[0])
    newsroom.swap()
    assert numbers(newsroom) == {(OTHER, held[0].id): 1, (OTHER, held[1].id): 2}
    assert stones(newsroom.body(f"/feeds/en/{CATEGORY}.atom")) == [], "nobody ever saw it there"
    assert stones(newsroom.body(f"/feeds/en/{OTHER}.atom")) == [entry_id(held[0].id, "en")]


def test_a_category_that_goes_and_comes_back_has_the_same_archives(newsroom: Newsroom) -> None:
    """Also with what went public in it meanwhile, though nobody could see it there."""
    held, profile = accept(newsroom, ARCHIVE_ENTRIES, CATEGORY), newsroom.profile
    newsroom.swap()
    before = [each.body for each in every(newsroom, 1)]
    rest = {term: name for term, name in profile.categories.items() if term != CATEGORY}
    newsroom.profile = dataclasses.replace(profile, categories=rest)
    newsroom.swap()
    assert not is_there(newsroom, 1)
    held += accept(newsroom, ARCHIVE_ENTRIES, CATEGORY)
    newsroom.swap()
    newsroom.profile = profile
    newsroom.swap()
    assert [each.body for each in every(newsroom, 1)] == before
    assert ids_of(held, "en") == {id for body in walk(newsroom, "en", "atom") for id in entry_ids(body, "atom")}
    assert len(list(walk(newsroom, "en", "atom"))) == 3


def test_an_archive_keeps_to_its_language(newsroom: Newsroom) -> None:
    """A correction of one edition leaves the other language's entries, as readers know them, alone."""
    held = accept(newsroom, ARCHIVE_ENTRIES, CATEGORY)
    newsroom.swap()
    before = find(newsroom, "zh", 1)
    newsroom.correct(held[0], "en", siblings_unaffected=True)
    newsroom.swap()
    assert find(newsroom, "zh", 1).body == before.body
    assert "2" in json.loads(find(newsroom, "en", 1, "json").body)["items"][-1]["title"]


def test_a_withdrawal_is_told_of_in_its_own_languages_alone(newsroom: Newsroom) -> None:
    """Also when one swap draws the other language's feeds for another release."""
    [both] = accept(newsroom, 1, CATEGORY)
    newsroom.draft = dataclasses.replace(newsroom.draft, editions=newsroom.draft.editions[:1])
    [chinese] = accept(newsroom, 1, CATEGORY)
    newsroom.swap()
    newsroom.withdraw(both)
    newsroom.withdraw(chinese)
    newsroom.swap()
    for feed in ("{}", f"{{}}/{CATEGORY}"):
        told = {name: stones(newsroom.body(f"/feeds/{feed.format(name)}.atom")) for name in NAMES}
        assert set(told["zh"]) == ids_of([both, chinese], "zh") and set(told["en"]) == ids_of([both], "en")


def test_of_two_publishers_one_gives_numbers(newsroom: Newsroom) -> None:
    """The second comes between the first's reading and writing, as in another process."""
    accept(newsroom, 3, CATEGORY)
    newsroom.clock.advance(seconds=2)
    counts: list[int] = []

    def clock_with_rival() -> object:
        if not counts:
            counts.append(publish_due(newsroom.storage, newsroom.profile, newsroom.clock).count)
        return newsroom.clock()

    assert publish_due(newsroom.storage, newsroom.profile, clock_with_rival).count == 0  # type: ignore[arg-type]
    assert counts == [3] and sorted(numbers(newsroom).values()) == [1, 2, 3]
