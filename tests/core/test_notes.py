"""What partners are told of a correction, when several were accepted before one swap showed them together."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import pytest

from service import subscriptions
from service.letters import write_letters
from service.model import Release
from service.storage import claims
from tests.core.newsroom import Newsroom, notes, pushed, subscribe

DATE = {"zh-Hans": "日期有误。", "en": "A date was wrong."}
NAME = {"zh-Hans": "更正人名", "en": "A name was misspelt"}
PLACE = {"en": "So was a place."}
ALL = {"zh-Hans": "日期有误。更正人名", "en": "A date was wrong. A name was misspelt; So was a place."}


@pytest.fixture
def known(newsroom: Newsroom) -> Release:
    """Readers know it, and the partner was sent it."""
    subscribe(newsroom)
    release = newsroom.accept()
    newsroom.swap()
    pushed(newsroom)
    return release


def correct(newsroom: Newsroom, release: Release, *given: Mapping[str, str]) -> None:
    for note in given:
        newsroom.draft = dataclasses.replace(newsroom.changed("zh-Hans", "en"), change_note=note)
        newsroom.correct(release, "zh-Hans", "en")


def test_notes_of_corrections_that_went_public_together_are_all_pushed(newsroom: Newsroom, known: Release) -> None:
    """The page shows each of them, and a partner is told no less: in each language, the oldest first."""
    correct(newsroom, known, DATE, NAME, PLACE)
    newsroom.swap()
    assert notes(newsroom, known) == [PLACE, NAME, DATE]
    [push] = pushed(newsroom)
    assert (push["revision"], push["change_note"]) == (4, ALL)


def test_a_note_that_was_pushed_is_not_pushed_again(newsroom: Newsroom, known: Release) -> None:
    correct(newsroom, known, DATE)
    newsroom.swap()
    pushed(newsroom)
    correct(newsroom, known, NAME)
    newsroom.swap()
    [push] = pushed(newsroom)
    assert push["change_note"] == NAME


def test_notes_come_with_the_next_revision_that_can_be_shown(newsroom: Newsroom, known: Release) -> None:
    """Readers never saw the revision that was set aside; what it corrected, they see now."""
    sound = newsroom.draft
    broken = tuple(dataclasses.replace(edition, headline="Not XML: \x0b") for edition in sound.editions)
    newsroom.draft = dataclasses.replace(sound, editions=broken, change_note=DATE)
    newsroom.correct(known)
    newsroom.swap()
    newsroom.draft = sound
    assert notes(newsroom, known) == []
    correct(newsroom, known, NAME)
    newsroom.swap()
    [push] = pushed(newsroom)
    assert (push["revision"], push["change_note"]) == (
        3, {"zh-Hans": "日期有误。更正人名", "en": "A date was wrong. A name was misspelt"}
    )


def test_a_ninjs_item_has_each_note_in_its_language_or_else_in_another(newsroom: Newsroom) -> None:
    order = {"partner": "P", "channel": "webhook", "callback": "https://p.example/", "languages": ["zh-Hans"],
             "format": "ninjs"}
    subscriptions.subscribe(newsroom.storage, order, newsroom.clock())
    release = newsroom.accept()
    newsroom.swap()
    claimed(newsroom)
    correct(newsroom, release, DATE, PLACE)
    newsroom.swap()
    [item] = claimed(newsroom)
    assert item["edNote"] == "日期有误。So was a place."


def test_an_e_mail_has_all_notes(newsroom: Newsroom, known: Release) -> None:
    correct(newsroom, known, DATE, NAME)
    newsroom.swap()
    [message] = claimed(newsroom)
    [letter] = write_letters(json.dumps(message).encode(), {}, "https://p.example/unsubscribe")
    assert "日期有误。更正人名" in letter.text and "A date was wrong. A name was misspelt" in letter.html


def claimed(newsroom: Newsroom) -> list[Any]:
    with newsroom.storage.write() as tx:
        held = claims.hold_due(tx, "courier", limit=9, now=newsroom.clock(), until=newsroom.clock()).read()
    return [json.loads(hold.body) for hold in held]
