"""A document is taken whole or refused with all its faults."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.config import Profile
from service.errors import Invalid
from service.model import Draft
from service.text import strip_non_xml
from service.validation import validate_release
from tests.factories import published, rendered

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from([
            "editions", "zh-Hans", "en", "headline", "body_text", "body_html", "body_markdown", "slug", "categories",
        ])
        | st.text(max_size=4), inner, max_size=4,
    ),
    max_leaves=12,
)


def faults_of(document: Any, profile: Profile) -> dict[str, str]:
    with pytest.raises(Invalid) as caught:
        validate_release(document, profile)
    return {fault.pointer: fault.code for fault in caught.value.faults}


def test_the_example_is_valid(release_document: dict[str, Any], profile: Profile) -> None:
    draft = validate_release(release_document, profile)
    assert [edition.language for edition in draft.editions] == ["zh-Hans", "en"]
    assert draft.warnings == ()


def test_every_fault_is_told_at_once(release_document: dict[str, Any], profile: Profile) -> None:
    """Schema faults and the newsroom's rules together, each at its own place."""
    release_document["editions"]["en"]["headline"] = "  "
    release_document["editions"]["en"]["sumary"] = "typo"
    release_document["editions"]["zh-Hans"]["body_text"] = "This is no Chinese at all, not one character of all this."
    release_document["editions"]["fr"] = {"headline": "Bonjour", "body_text": "Bonjour"}
    release_document["categories"] = ["visits", "sport"]
    release_document["slug"] = "Not A Slug"
    release_document["authoritative_language"] = "de"
    assert faults_of(release_document, profile) == {
        "/authoritative_language": "unknown_language",
        "/categories/1": "unknown_category",
        "/editions/en/headline": "empty",
        "/editions/en/sumary": "did_you_mean",
        "/editions/fr": "unknown_language",
        "/editions/zh-Hans/body_text": "wrong_script",
        "/slug": "wrong_slug",
    }


@pytest.mark.parametrize("name", ["headline", "summary", "dateline", "body_text"])
@pytest.mark.parametrize("invisible", ["\u200b", "\u2060\u00ad", " \u200f\n", "\u202e", "\u3164"])
def test_a_text_that_nobody_sees_is_empty(
    release_document: dict[str, Any], profile: Profile, name: str, invisible: str
) -> None:
    release_document["editions"]["en"][name] = invisible
    assert faults_of(release_document, profile) == {f"/editions/en/{name}": "empty"}


@pytest.mark.parametrize("body", ["<p>&#8203;</p><p>&shy;&nbsp;</p>", "<p>&#8203;<img src=/x></p>"])
def test_a_body_of_invisible_references_is_empty(
    release_document: dict[str, Any], profile: Profile, body: str
) -> None:
    release_document["editions"]["en"] = {"headline": "Hello", "body_html": body}
    assert faults_of(release_document, profile) == {"/editions/en/body_html": "empty_after_cleaning"}


def test_a_missing_edition_is_named(release_document: dict[str, Any], profile: Profile) -> None:
    del release_document["editions"]["en"]
    assert faults_of(release_document, profile) == {"/editions/en": "missing_edition"}


@pytest.mark.parametrize("change", [{"body_html": "<p>also</p>"}, {"body_text": None}])
def test_a_body_stands_exactly_once(
    release_document: dict[str, Any], profile: Profile, change: dict[str, Any]
) -> None:
    edition = release_document["editions"]["en"]
    edition.update(change)
    if edition["body_text"] is None:
        del edition["body_text"]
    assert faults_of(release_document, profile) == {"/editions/en": "exactly_one"}


def test_a_body_of_scripts_alone_is_empty(release_document: dict[str, Any], profile: Profile) -> None:
    release_document["editions"]["en"] = {"headline": "Hello", "body_html": "<script>all()</script>"}
    assert faults_of(release_document, profile) == {"/editions/en/body_html": "empty_after_cleaning"}


def test_markdown_without_any_words_is_empty(release_document: dict[str, Any], profile: Profile) -> None:
    release_document["editions"]["en"] = {"headline": "Hello", "body_markdown": "[a]: https://a.example"}
    assert faults_of(release_document, profile) == {"/editions/en/body_markdown": "empty_after_cleaning"}


@pytest.mark.parametrize("body", [
    {"body_markdown": "> " * 201 + "Hello"}, {"body_html": "<div>" * 201 + "Hello"}, {"body_html": "<svg><tr>" * 150},
])
def test_what_is_nested_without_end_is_refused(
    release_document: dict[str, Any], profile: Profile, body: dict[str, str]
) -> None:
    """Cleaning it would hold a process up for minutes."""
    release_document["editions"]["en"] = {"headline": "Hello", **body}
    assert faults_of(release_document, profile) == {f"/editions/en/{next(iter(body))}": "nested_too_deep"}


def test_deep_but_sane_markup_is_taken(release_document: dict[str, Any], profile: Profile) -> None:
    release_document["editions"]["en"] = {"headline": "Hello", "body_markdown": "> " * 150 + "Hello"}
    assert validate_release(release_document, profile).editions[1].body_text == "Hello"


def test_raw_emphasis_is_refused_with_its_place(release_document: dict[str, Any], profile: Profile) -> None:
    """Published, `**` could only be mended by a correction in public; here it costs a keystroke."""
    release_document["editions"]["zh-Hans"] = {"headline": "你好", "body_markdown": "他说**“重要”**AI是未来。"}
    with pytest.raises(Invalid) as caught:
        validate_release(release_document, profile)
    [fault] = caught.value.faults
    assert (fault.pointer, fault.code) == ("/editions/zh-Hans/body_markdown", "markers_left")
    assert fault.params == {"places": ["他说**“重要”**AI"]}


def test_markdown_is_cleaned_like_html(release_document: dict[str, Any], profile: Profile) -> None:
    source = "See [it](javascript:steal()) and [that](/that).\n\n![x](data:image/png;base64,x)\n\n<img onerror=steal()>"
    release_document["editions"]["en"] = {"headline": "Hello", "body_markdown": source}
    body = validate_release(release_document, profile).editions[1].body_html
    assert 'href="http://127.0.0.1:8080/that"' in body
    assert not any(trace in body for trace in ("javascript:", "data:", "<img onerror"))


@pytest.mark.parametrize("body", [
    {"body_html": "<h1>Background</h1><p>Hello all.</p>"}, {"body_markdown": "# Background\n\nHello all.\n\nBye."},
])
def test_the_summary_is_the_first_paragraph_and_no_heading(
    release_document: dict[str, Any], profile: Profile, body: dict[str, str]
) -> None:
    release_document["editions"]["en"] = {"headline": "Hello", **body}
    assert validate_release(release_document, profile).editions[1].summary == "Hello all."


def test_swapped_editions_are_refused(release_document: dict[str, Any], profile: Profile) -> None:
    """The commonest paste error: each text under the other language."""
    editions = release_document["editions"]
    editions["zh-Hans"], editions["en"] = editions["en"], editions["zh-Hans"]
    assert set(faults_of(release_document, profile).values()) == {"wrong_script"}


@pytest.mark.parametrize(("tag", "edition", "places"), [
    ("zh-Hans", {"headline": "COP31"}, ["headline"]),
    ("zh-Hans", {"headline": "OpenAI发布GPT-5 Turbo Preview Enterprise Edition"}, ["headline"]),
    ("zh-Hans", {"body_text": "与会院校：" + "Linjiang Institute of Port Technology、" * 5}, ["body_text"]),
    ("en", {"body_text": "Present: " + "临江港口技术学院, 沿江师范大学 (Linjiang); " * 5}, ["body_text"]),
    ("zh-Hans", {"body_text": "Yes."}, ["body_text"]),
    ("zh-Hans", {"headline": "临江学院签约", "summary": "CAVEC"}, ["summary"]),
])
def test_a_short_or_mixed_text_is_told_and_published(
    release_document: dict[str, Any], profile: Profile, tag: str, edition: dict[str, str], places: list[str]
) -> None:
    release_document["editions"][tag] |= edition
    warnings = validate_release(release_document, profile).warnings
    told = [warning.pointer for warning in warnings if warning.code == "check_script"]
    assert told == [f"/editions/{tag}/{name}" for name in places]


def test_a_headline_in_the_other_language_alone_is_refused(
    release_document: dict[str, Any], profile: Profile
) -> None:
    release_document["editions"]["en"]["headline"] = "交流团到访临江港口技术学院并商定互派教师"
    assert faults_of(release_document, profile) == {"/editions/en/headline": "wrong_script"}


def test_what_would_turn_the_neighbours_round_is_taken_out_of_lines(
    release_document: dict[str, Any], profile: Profile
) -> None:
    release_document["editions"]["zh-Hans"]["headline"] = "签署\u202e合作"
    release_document["contacts"] = [{"name": "苏\u2067闻笛"}]
    draft = validate_release(release_document, profile)
    assert (draft.editions[0].headline, draft.contacts[0]["name"]) == ("签署合作", "苏闻笛")
    assert {(w.pointer, w.code, *w.params["characters"]) for w in draft.warnings} == {
        ("/editions/zh-Hans/headline", "direction_removed", "U+202E"),
        ("/contacts/0/name", "direction_removed", "U+2067"),
    }


def test_faults_stand_in_the_order_of_the_document(release_document: dict[str, Any], profile: Profile) -> None:
    release_document["categories"] = [f"sport{number}" for number in range(12)]
    release_document["slug"] = "Not A Slug"
    places = [*(f"/categories/{number}" for number in range(12)), "/slug"]
    assert list(faults_of(release_document, profile)) == places


def test_an_empty_name_has_its_place(release_document: dict[str, Any], profile: Profile) -> None:
    """RFC 6901: it is a step of the pointer like any other."""
    release_document["editions"][""] = {"headline": "x", "body_text": 1, "": {"": 2}}
    faults = faults_of(release_document | {"": 3}, profile)
    assert faults == {
        "/": "unknown_field", "/editions/": "unknown_language", "/editions//": "unknown_field",
        "/editions//body_text": "wrong_type",
    }


def test_lost_characters_are_warned_of(release_document: dict[str, Any], profile: Profile) -> None:
    release_document["editions"]["en"]["headline"] = "Bell\x07 rings"
    draft = validate_release(release_document, profile)
    assert draft.editions[1].headline == "Bell rings"
    [warning] = draft.warnings
    assert (warning.pointer, warning.code) == ("/editions/en/headline", "characters_removed")
    assert warning.params == {"characters": ["U+0007"]}


@given(document=JSON_VALUES)
def test_any_json_is_taken_or_refused_but_never_crashes(document: Any, profile: Profile) -> None:
    try:
        validate_release(document, profile)
    except Invalid as error:
        assert error.faults


@settings(max_examples=90, deadline=None)
@given(
    chinese=st.text(min_size=1), english=st.text(min_size=1),
    kind=st.sampled_from(["body_text", "body_html", "body_markdown"]),
)
def test_whatever_is_accepted_renders_in_every_feed(
    chinese: str, english: str, kind: str, profile: Profile
) -> None:
    """Ingest is the last gate: behind it no text can break a feed."""
    document = {"editions": {
        "zh-Hans": {"headline": "标题" + chinese, kind: "正文，" * 40 + chinese},
        "en": {"headline": "Title" + english, kind: "Body text. " * 40 + english},
    }}
    try:
        draft: Draft = validate_release(document, profile)
    except Invalid:
        return
    release = published(draft)
    documents, broken = rendered(profile, release)
    assert not broken
    assert len(documents) == 6


@settings(deadline=None)
@given(body=st.text(), quote=st.text(alphabet="江会长,:!?“”國 \n。", max_size=30))
def test_plain_text_is_kept_to_the_character(body: str, quote: str, profile: Profile) -> None:
    """Whatever the warnings say; only line ends and what XML can't carry are not the sender's."""
    posted = strip_non_xml("正文，" * 40 + quote + body + "终")[0]
    document = {"editions": {
        "zh-Hans": {"headline": "标题", "body_text": posted}, "en": {"headline": "Title", "body_text": "Body"},
    }}
    try:
        draft = validate_release(document, profile)
    except Invalid as error:
        assert {fault.code for fault in error.faults} == {"wrong_script"}
        return
    assert draft.editions[0].body_text == posted
