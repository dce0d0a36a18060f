"""What readers are told of a correction on the pages of its editions."""

from __future__ import annotations

from typing import Any

import pytest
from lxml import html

from tests.api.desk import Desk

BOTH = ("zh-Hans", "en")


@pytest.fixture
def known(desk: Desk, swap: Any) -> dict[str, Any]:
    release = desk.post()
    swap()
    return release


def notes(desk: Desk, release: dict[str, Any], name: str) -> list[Any]:
    page = html.fromstring(desk.get(f"/{name}/releases/{release['slug']}").text)
    return page.xpath(".//p[@class='note'][span]")


def told(desk: Desk, release: dict[str, Any], name: str) -> list[list[tuple[str, str]]]:
    """Of each note on a page its parts, each with the language that it says it is in."""
    return [[(part.get("lang"), part.text) for part in note.iter("span")] for note in notes(desk, release, name)]


def words(desk: Desk, release: dict[str, Any], name: str) -> str:
    return " ".join(" ".join("".join(note.itertext()).split()) for note in notes(desk, release, name))


def test_a_note_in_another_language_says_in_words_which(desk: Desk, swap: Any, known: dict[str, Any]) -> None:
    desk.put(known, desk.reworded(*BOTH, change_note={"en": "A date."}))
    swap()
    assert told(desk, known, "en") == [[("en", "A date.")]]
    assert told(desk, known, "zh") == [[("en", "A date."), ("en", "English")]]
    assert "此说明的语言：" in words(desk, known, "zh")


def test_the_same_words_in_both_languages_are_in_the_pages_own(desk: Desk, swap: Any, known: dict[str, Any]) -> None:
    desk.put(known, desk.reworded(*BOTH, change_note=dict.fromkeys(BOTH, "2 → 3")))
    swap()
    assert told(desk, known, "en") == [[("en", "2 → 3")]]


def test_a_reason_in_another_language_says_in_words_which(desk: Desk, swap: Any, known: dict[str, Any]) -> None:
    desk.move(known, "withdraw", {"reason": {"zh-Hans": "有误。"}})
    swap()
    assert told(desk, known, "zh") == [[("zh-Hans", "有误。")]]
    assert told(desk, known, "en") == [[("zh-Hans", "有误。"), ("zh-Hans", "简体中文")]]
    assert "Language of this explanation:" in words(desk, known, "en")


def test_the_corrected_edition_says_which_others_are_right_as_they_are(
    desk: Desk, swap: Any, known: dict[str, Any]
) -> None:
    """On the page of those nothing has changed, so nothing is told there of a correction."""
    desk.put(known, desk.reworded("zh-Hans", change_note={"zh-Hans": "日期。"}, siblings="unaffected"))
    swap()
    assert told(desk, known, "zh") == [[("zh-Hans", "日期。"), ("en", "English")]]
    assert "不受这次更正影响的语言版本： English" in words(desk, known, "zh")
    assert told(desk, known, "en") == []


def test_readers_of_an_edition_that_was_left_alone_are_told_what_was_said_to_them(
    desk: Desk, swap: Any, known: dict[str, Any]
) -> None:
    note = {"zh-Hans": "日期。", "en": "Only the Chinese had a wrong date."}
    desk.put(known, desk.reworded("zh-Hans", change_note=note, siblings="unaffected"))
    swap()
    assert told(desk, known, "en") == [[("en", "Only the Chinese had a wrong date.")]]
