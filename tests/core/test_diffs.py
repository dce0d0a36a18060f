"""Differences that a person reads: true to both texts, by characters or words, and never endless."""

from __future__ import annotations

import dataclasses
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.diffs import Op, Step, changed_members, diff_releases, diff_texts
from service.model import Draft, Edition
from tests.factories import published

# Surrogates are no text; everything else may come, also what the engine numbers its tokens with.
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
WORDS = ["两校", "签署", "协议", "sign", "signed ", "an ", "accord", "é", "👩‍🏫", "\n"]
PHRASES = st.lists(st.sampled_from(WORDS)).map("".join)


@given(TEXT | PHRASES, TEXT | PHRASES, st.sampled_from(["zh-Hans", "en", "ja", "fr"]))
def test_the_steps_lead_from_the_one_text_to_the_other(before: str, after: str, language: str) -> None:
    steps = diff_texts(before, after, language)
    assert "".join(step.text for step in steps if step.op is not Op.INSERT) == before
    assert "".join(step.text for step in steps if step.op is not Op.DELETE) == after


@pytest.mark.parametrize(("language", "before", "after", "steps"), [
    ("en", "a sign of it", "a signal of it", [
        (Op.EQUAL, "a "), (Op.DELETE, "sign"), (Op.INSERT, "signal"), (Op.EQUAL, " of it"),
    ]),
    ("zh-Hans", "签署协议", "签订协议", [
        (Op.EQUAL, "签"), (Op.DELETE, "署"), (Op.INSERT, "订"), (Op.EQUAL, "协议"),
    ]),
    ("en", "the school's plan", "the schools' plan", [
        (Op.EQUAL, "the "), (Op.DELETE, "school's"), (Op.INSERT, "schools'"), (Op.EQUAL, " plan"),
    ]),
    ("zh-Hans", "教师👩‍🏫", "教师👨‍🏫", [(Op.EQUAL, "教师"), (Op.DELETE, "👩‍🏫"), (Op.INSERT, "👨‍🏫")]),
    ("en", "", "new", [(Op.INSERT, "new")]),
    ("en", "same", "same", [(Op.EQUAL, "same")]),
])
def test_chinese_is_told_by_characters_and_english_by_words(
    language: str, before: str, after: str, steps: list[tuple[Op, str]]
) -> None:
    assert diff_texts(before, after, language) == [Step(*step) for step in steps]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("language", ["zh-Hans", "en"])
def test_a_text_of_a_megabyte_comes_to_an_end(language: str) -> None:
    """Nothing in common, which is the worst that an engine can be given; without patience it takes many minutes."""
    chance = random.Random(1)
    first, second = (
        " ".join(f"{letter}{chance.randrange(10**6)}" for _ in range(60_000)) if language == "en"
        else "".join(chr(start + chance.randrange(5000)) for _ in range(300_000))
        for letter, start in (("a", 0x4E00), ("b", 0x4E00 + 5000))
    )
    steps = diff_texts(first, second, language)
    assert "".join(step.text for step in steps if step.op is not Op.INSERT) == first
    assert "".join(step.text for step in steps if step.op is not Op.DELETE) == second


def test_an_added_and_a_removed_language_are_told_whole() -> None:
    english = Edition(language="en", headline="A", summary="B", body_text="C", body_html="<p>C</p>", dateline="D")
    french = dataclasses.replace(english, language="fr")
    before, after = published(Draft(editions=(english,))), published(Draft(editions=(english, french)))
    same, added = diff_releases(before, after)
    assert (same.language, same.change, same.fields) == ("en", "same", {})
    assert (added.language, added.change) == ("fr", "added")
    assert added.fields == {name: [Step(Op.INSERT, text)] for name, text in (
        ("headline", "A"), ("summary", "B"), ("dateline", "D"), ("body_text", "C"),
    )}
    removed = diff_releases(after, before)[-1]
    assert (removed.language, removed.change, removed.fields["headline"]) == ("fr", "removed", [Step(Op.DELETE, "A")])


def test_the_same_words_that_lead_elsewhere_are_no_same_edition() -> None:
    old = Edition(
        language="en", headline="A", summary="B", body_text="Here.", body_html='<p><a href="https://a.example/">Here.</a></p>',
    )
    new = dataclasses.replace(old, body_html='<p><a href="https://b.example/">Here.</a></p>')
    [diff] = diff_releases(published(Draft(editions=(old,))), published(Draft(editions=(new,))))
    assert (diff.change, list(diff.fields)) == ("changed", ["body_html"])
    told = [step.text for step in diff.fields["body_html"] if step.op is not Op.EQUAL]
    assert told == ["a", "b"]


@pytest.mark.parametrize(("name", "value"), [
    ("categories", ("visits",)), ("contacts", ({"name": "Li"},)), ("authoritative_language", "en"),
])
def test_what_all_editions_have_together_is_told_by_name(name: str, value: Any) -> None:
    before = published(Draft(editions=()))
    assert changed_members(before, before) == []
    assert changed_members(before, dataclasses.replace(before, **{name: value})) == [name]
