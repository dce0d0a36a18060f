"""A newsroom that ran before releases had a whole life goes on as if it always had been so."""

from __future__ import annotations

import dataclasses
import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import alembic.command
import alembic.config
import pytest
import sqlalchemy as sa
from lxml import etree

from service import releases as core
from service.archives import find_archive
from service.clock import new_id
from service.config import Profile
from service.feeds import digest_of, entry_id
from service.model import Draft, EventType, Release, ReleaseState, Withdrawal
from service.publishing import publish_due
from service.storage import Storage, events, listings, releases, tables
from service.storage import feeds as stored
from tests.conftest import VAULT, StoppedClock
from tests.core.newsroom import TOMBSTONE, Newsroom, link
from tests.factories import make_desk
from tests.services.postgres import Postgres


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of a database without any table."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/diglot.sqlite3"
    server: Postgres = request.getfixturevalue("postgres")
    return server.create_database()


@pytest.fixture
def storage(database_url: str) -> Any:
    storage = Storage(database_url)
    migrate(storage, "0001")
    yield storage
    storage.close()


@pytest.fixture
def newsroom(database_url: str, profile: Profile, clock: StoppedClock, draft: Draft) -> Any:
    """One of today."""
    storage = Storage(database_url, vault=VAULT)
    storage.migrate()
    room = Newsroom(storage, profile, clock, draft)
    room.swap()
    yield room
    storage.close()


def migrate(storage: Storage, revision: str, *, down: bool = False) -> None:
    config = alembic.config.Config()
    config.set_main_option("script_location", "service.storage:migrations")
    with storage._transaction({"diglot_migration": True}) as tx:
        config.attributes["connection"] = tx
        (alembic.command.downgrade if down else alembic.command.upgrade)(config, revision)
    storage.engine.dispose()


class Past:
    """Writes rows as the first form of the tables had them."""

    def __init__(self, tx: sa.Connection, now: datetime) -> None:
        self.tx, self.now = tx, now

    def release(
        self, name: str, state: str, *, public_for: int | None = None, aside: bool = False, revisions: int = 1,
        tags: tuple[str, ...] = ("zh-Hans", "en"),
    ) -> Any:
        """`public_for` is in minutes; None is not public."""
        published_at = None if public_for is None else self.now - timedelta(minutes=public_for)
        id, at = new_id(), published_at or self.now
        self.tx.execute(tables.releases.insert().values(
            id=id, slug=name, state=state, revision=revisions, created_at=at, updated_at=at, published_at=published_at,
            public_revision=revisions if published_at else None, set_aside_at=self.now if aside else None,
        ))
        for number in range(1, revisions + 1):
            document = {
                "authoritative_language": None, "categories": ["events"], "contacts": [], "warnings": [],
                "editions": [
                    {"language": tag, "headline": f"{name} {number}", "summary": "s", "body_text": "b",
                     "body_html": "<p>b</p>", "dateline": None}
                    for tag in tags
                ],
            }
            row = {"release_id": id, "number": number, "document": document, "created_at": at}
            self.tx.execute(tables.revisions.insert().values(**row))
        is_open = state == "published" and not published_at and not aside
        self.tx.execute(tables.events.insert().values(
            id=new_id(), type=EventType.RELEASE_PUBLISHED, release_id=id, revision=1, created_at=at,
            published_at=published_at, planned_at=None if is_open else at,
        ))
        return id

    def generation(self) -> None:
        insert = sa.text("INSERT INTO generations (id, number, digest, published_at) VALUES (1, 41, 'old', :at)")
        self.tx.execute(insert.bindparams(sa.bindparam("at", self.now, tables.Instant())))


def test_what_was_public_keeps_its_order_and_its_place(
    storage: Storage, profile: Profile, clock: StoppedClock
) -> None:
    with storage.write() as tx:
        past = Past(tx, clock())
        # The ids are made in this order, the publications were in another.
        ids = {
            "second": past.release("second", "published", public_for=20),
            "first": past.release("first", "published", public_for=30, revisions=2),
            "draft": past.release("draft", "draft"),
            "third": past.release("third", "published", public_for=10, tags=("zh-Hans",)),
            "aside": past.release("aside", "published", aside=True),
            "waiting": past.release("waiting", "published"),
        }
        past.generation()
    storage.migrate()
    assert broken_references(storage) == []
    with storage.read() as tx:
        assert [release.slug for release in releases.list_positions(tx, 1, 9)] == ["third", "second", "first"]
        assert listings.page_ids(tx, "en", limit=9, before=None) == [ids["second"], ids["first"]]
        assert listings.newest_ids(tx, "events", "zh-Hans", limit=1) == [ids["third"]]
        generation = stored.find_generation(tx)
        assert generation and (generation.number, generation.position) == (41, 3)
        assert [event.release_id for event in events.list_unpublished(tx, limit=9)] == [ids["waiting"]]
        assert releases.find_public_release(tx, "draft") is None
    clock.advance(seconds=2)
    assert publish_due(storage, profile, clock).count == 1
    assert [item["id"] for item in items(storage, "zh")] == [
        entry_id(ids[name], "zh-Hans") for name in ("waiting", "third", "second", "first")
    ]
    assert [item["title"] for item in items(storage, "en")] == ["waiting 1", "second 1", "first 2"]


def test_what_was_public_can_be_corrected_withdrawn_and_archived(
    storage: Storage, profile: Profile, clock: StoppedClock
) -> None:
    with storage.write() as tx:
        past = Past(tx, clock())
        ids = [past.release(f"r{number}", "published", public_for=60 - number) for number in range(26)]
        past.generation()
    storage.migrate()
    clock.advance(seconds=2)
    publish_due(storage, profile, clock)
    desk = make_desk(storage)
    found = core.get_release(storage, ids[0])
    assert (found.state, found.position, found.change_note) == (ReleaseState.PUBLISHED, 1, {})
    core.withdraw_release(
        storage, ids[0], Withdrawal(reason={"en": "x"}), clock(), desk, is_expected=lambda revision: True
    )
    clock.advance(seconds=2)
    publish_due(storage, profile, clock)
    for category in ("", "events"):
        found = find_archive(storage, profile, profile.languages[1], 1, "json", category=category)
        assert found
        archive = found[1]
        assert [item["title"] for item in json.loads(archive.body)["items"]] == [f"r{n} 1" for n in range(24, 0, -1)]
        assert archive.last_modified == clock().replace(microsecond=0)


def test_each_category_numbers_what_is_public_in_it_and_leads_to_its_archives(newsroom: Newsroom) -> None:
    """In the order of publication; with the withdrawn, and without what left it before or never showed."""
    def accept(count: int, *categories: str) -> list[Release]:
        newsroom.draft = dataclasses.replace(newsroom.draft, categories=categories)
        return [newsroom.accept() for _ in range(count)]

    def events(number: int) -> Any:
        profile = newsroom.profile
        found = find_archive(newsroom.storage, profile, profile.languages[1], number, "atom", category="events")
        return etree.fromstring(found[1].body) if found else None

    [late], draft, held = accept(1, "visits"), newsroom.accept(ReleaseState.DRAFT), accept(27, "visits", "events")
    newsroom.swap()
    newsroom.draft = dataclasses.replace(newsroom.draft, categories=("events",))
    newsroom.correct(late)
    newsroom.withdraw(held[3])
    newsroom.draft = dataclasses.replace(newsroom.draft, categories=("visits",))
    newsroom.correct(held[5])
    newsroom.swap()
    newsroom.draft = dataclasses.replace(newsroom.draft, categories=("events",))
    newsroom.correct(draft)
    newsroom.move(core.publish_release, draft)
    newsroom.swap()
    migrate(newsroom.storage, "0012", down=True)
    with newsroom.storage.write() as tx:
        # Whoever ran until now drew feeds that lead to no archive, by this profile.
        tx.execute(tables.documents.delete())
        tx.execute(tables.generations.update().values(digest=digest_of(newsroom.profile)))
    newsroom.storage.migrate()
    newsroom.swap()
    first, entry = events(1), "{http://www.w3.org/2005/Atom}entry/{http://www.w3.org/2005/Atom}id"
    shown = [late, *held[:3], held[4], *held[6:26]]
    assert [each.text for each in reversed(first.findall(entry))] == [entry_id(each.id, "en") for each in shown[:24]]
    assert [stone.get("ref") for stone in first.findall(TOMBSTONE)] == [entry_id(held[3].id, "en")]
    assert events(2) is None
    assert link(newsroom.atom("en/events"), "prev-archive") == link(first, "self")
    accept(22, "events")
    newsroom.swap()
    second = events(2)
    assert second.findall(entry)[-3].text == entry_id(draft.id, "en"), "after two that went public before it"
    assert etree.tostring(events(1)) == etree.tostring(first)


def test_an_empty_newsroom_is_brought_forward_too(storage: Storage, profile: Profile, clock: StoppedClock) -> None:
    storage.migrate()
    storage.migrate()
    publish_due(storage, profile, clock)
    assert items(storage, "en") == []


def test_the_way_back_and_forth_again_is_open(storage: Storage, profile: Profile, clock: StoppedClock) -> None:
    with storage.write() as tx:
        past = Past(tx, clock())
        past.release("first", "published", public_for=30)
        past.generation()
    storage.migrate()
    migrate(storage, "0001", down=True)
    storage.migrate()
    clock.advance(seconds=2)
    publish_due(storage, profile, clock)
    assert [item["title"] for item in items(storage, "en")] == ["first 1"]


def broken_references(storage: Storage) -> list[Any]:
    """SQLite's, which guards none while it migrates; and it guards them again afterwards."""
    if storage.engine.dialect.name != "sqlite":
        return []
    with storage.read() as tx:
        assert tx.exec_driver_sql("PRAGMA foreign_keys").scalar_one() == 1
        return list(tx.exec_driver_sql("PRAGMA foreign_key_check").all())


def items(storage: Storage, name: str) -> Any:
    with storage.read() as tx:
        found = stored.find_document(tx, f"/feeds/{name}.json")
    assert found
    return json.loads(found[1].body)["items"]
