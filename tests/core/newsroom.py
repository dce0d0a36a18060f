"""The core in a few words, for tests that tell a release's life."""

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
from service.model import ApiKey, Draft, Release, ReleaseState, Withdrawal
from service.publishing import publish_due
from service.releases import accept_release, publish_scheduled, revise_release, withdraw_release
from service.storage import Storage, claims, deliveries, feeds, releases
from tests.conftest import StoppedClock
from tests.factories import make_desk

ATOM = "{http://www.w3.org/2005/Atom}"
TOMBSTONE = "{http://purl.org/atompub/tombstones/1.0}deleted-entry"


class Newsroom:
    """Staff, workers and readers in one hand."""

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


def subscribe(newsroom: Newsroom) -> Any:
    order = {
        "partner": "P", "channel": "webhook", "callback": "https://p.example/", "languages": ["en", "zh-Hans"],
    }
    return subscriptions.subscribe(newsroom.storage, order, newsroom.clock()).id


def claim(newsroom: Newsroom, subscription_id: Any) -> None:
    """As a courier does that then dies: the partner may have it, for all that anybody knows."""
    until = newsroom.clock() + timedelta(seconds=20)
    with newsroom.storage.write() as tx:
        held = claims.hold_due(tx, "courier", limit=1, now=newsroom.clock(), until=until).read()
    assert [hold.subscription_id for hold in held] == [subscription_id]


def owed(newsroom: Newsroom, release: Release) -> list[Any]:
    with newsroom.storage.read() as tx:
        return deliveries.list_for_release(tx, release.id, limit=50, before=None)


def pushed(newsroom: Newsroom) -> list[Any]:
    """What a courier sends, which then dies."""
    with newsroom.storage.write() as tx:
        held = claims.hold_due(tx, "courier", limit=9, now=newsroom.clock(), until=newsroom.clock()).read()
    return [json.loads(hold.body)["data"]["release"] for hold in held]


def notes(newsroom: Newsroom, release: Release) -> list[Any]:
    with newsroom.storage.read() as tx:
        shown = releases.find_public_release(tx, release.slug)
        assert shown
        return [revision.release.change_note for revision in releases.list_corrections(tx, shown)]


def archive(newsroom: Newsroom, number: int) -> Any:
    found = find_archive(newsroom.storage, newsroom.profile, newsroom.profile.languages[1], number, "atom")
    assert found
    return etree.fromstring(found[1].body)


def link(document: Any, rel: str) -> str | None:
    return next((each.get("href") for each in document.findall(f"{ATOM}link") if each.get("rel") == rel), None)


# What leaves a push that is on its way behind, by the newsroom and the release.
OVERTAKING = pytest.mark.parametrize("overtake", [
    lambda newsroom, release: newsroom.correct(release, "en", siblings_unaffected=True), Newsroom.withdraw,
], ids=["a correction", "a withdrawal"])
