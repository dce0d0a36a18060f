"""Any media that staff post are taken or refused, and whatever is taken renders."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from service import media
from service.config import Profile
from service.errors import Invalid
from service.release_media import MOST_MEDIA, media_in
from service.storage import Storage
from service.validation import validate_release
from tests.factories import published, rendered

HOSTILE = st.text(max_size=12) | st.sampled_from([
    "\x00", "\ud800", "0192f0c0-0000-7000-8000-000000000000", "http://127.0.0.1:8080/media/",
    "http://127.0.0.1:8080/media/\x00", "http://127.0.0.1:8080/media/" + "0" * 32 + ".jpg", "image/jpeg",
])
VALUES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | HOSTILE
NAMES = st.sampled_from(["url", "media", "type", "byte_length", "width", "height", "title", "alt", "credit"])
ITEMS = st.dictionaries(
    NAMES | HOSTILE, VALUES | st.dictionaries(st.sampled_from(["en", "zh-Hans", "fr"]) | HOSTILE, VALUES, max_size=3)
)
OURS = "http://127.0.0.1:8080/media/"


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(items=[{"url": f"{OURS}\x00", "type": "image/jpeg"}])
@example(items=[{"url": f"{OURS}\ud800", "type": "image/jpeg"}])
@example(items=[{"media": "signing.jpg"}])
@given(items=VALUES | st.lists(ITEMS | VALUES, max_size=3))
def test_any_media_are_taken_or_refused_but_never_crash(
    items: Any, release_document: dict[str, Any], profile: Profile, storage: Storage
) -> None:
    document = {**release_document, "media": items}
    try:
        validate_release(document, profile, media.find_named(storage, document, profile))
    except Invalid as error:
        assert error.faults


def words() -> Any:
    return st.dictionaries(st.sampled_from(["zh-Hans", "en"]), st.text(min_size=1, max_size=20))


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    path=st.text(st.characters(codec="ascii"), max_size=20), title=words(), alt=words(), credit=words(),
    kind=st.sampled_from(["image/jpeg", "image/svg+xml", "application/pdf", "x/y"]),
    length=st.none() | st.integers(min_value=1) | st.floats(1, 9, allow_nan=False),
)
def test_whatever_media_are_accepted_render_in_every_feed(
    path: str, title: Any, alt: Any, credit: Any, kind: str, length: Any, release_document: dict[str, Any],
    profile: Profile,
) -> None:
    item = {"url": f"https://cdn.example/{path}", "type": kind, "title": title, "alt": alt, "credit": credit}
    if length is not None:
        item["byte_length"] = length
    try:
        draft = validate_release({**release_document, "media": [item]}, profile)
    except Invalid:
        return
    documents, broken = rendered(profile, published(draft))
    assert not broken
    assert all(b"cdn.example" in body for _, body in documents.values())


def test_there_is_room_for_as_many_as_the_schema_allows(release_document: dict[str, Any], profile: Profile) -> None:
    item = {"url": "https://cdn.example/a.pdf", "type": "application/pdf"}
    draft = validate_release({**release_document, "media": [item] * MOST_MEDIA}, profile)
    assert len(draft.media) == MOST_MEDIA
    with pytest.raises(Invalid) as caught:
        validate_release({**release_document, "media": [item] * (MOST_MEDIA + 1)}, profile)
    assert [(fault.pointer, fault.code) for fault in caught.value.faults] == [("/media", "too_many")]


def test_a_whole_number_may_be_written_with_a_point(release_document: dict[str, Any], profile: Profile) -> None:
    """JSON Schema takes 3.0 for a whole number; no feed does."""
    item = {"url": "https://cdn.example/a.pdf", "type": "application/pdf", "byte_length": 3.0}
    release = published(validate_release({**release_document, "media": [item]}, profile))
    documents, _ = rendered(profile, release)
    assert b'length="3"' in documents["/feeds/en.rss"][1]
    assert b'"size_in_bytes": 3\n' in documents["/feeds/en.json"][1]


def test_a_credit_is_told_in_any_language_and_other_words_in_their_own(
    release_document: dict[str, Any], profile: Profile
) -> None:
    item = {
        "url": "https://cdn.example/files/a.jpg", "type": "image/jpeg",
        "title": {"zh-Hans": "签约"}, "alt": {"zh-Hans": "两人签字"}, "credit": {"zh-Hans": "摄影：顾"},
    }
    paper = {"url": "https://cdn.example/files/a%20b.pdf?x=1", "type": "application/pdf"}
    draft = validate_release({**release_document, "media": [item, paper]}, profile)
    picture, file = media_in(draft.media, profile, "en")
    assert (picture.title, picture.alt, picture.credit) == (None, None, "摄影：顾")
    assert file.title == "a%20b.pdf"
