"""Releases as newsrooms write them: the shipped example, numbered, with the paragraph that closes each of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from service.clock import new_id, utc_now
from service.config import Profile
from service.model import Event, EventType, Release, ReleaseState
from service.payloads import release_body
from service.releases import accept_release
from service.storage import Storage
from service.validation import validate_release
from tests.conftest import ROOT
from tests.factories import make_desk, published

CLOSING = {
    "zh-Hans": "湖滨职业技术学院创办于1958年,现有在校生一万二千余人,开设四十一个专业,是国家优质高等职业院校。"
    "海港应用技术学院位于亚得里亚海滨,创办于1974年,现有在校生五千余人,以港口物流和船舶工程见长。",
    "en": "Lakeside Vocational Institute was founded in 1958. Its 12,000 students learn in 41 programmes, and it is "
    "one of the national model colleges. Harbour College of Applied Technology, founded in 1974 on the Adriatic "
    "coast, has 5,000 students and is known for port logistics and marine engineering. The two have exchanged "
    "teachers since 2019 and run a joint summer school each July.",
}


CATEGORIES = ("agreements", "visits", "events")


def release_document(number: int) -> dict[str, Any]:
    """The request body of a release that differs from the others in its headlines."""
    document: dict[str, Any] = json.loads((ROOT / "examples/release.json").read_text("utf-8"))
    del document["slug"]
    for tag, edition in document["editions"].items():
        edition["headline"] += f" ({number})"
        edition["body_text"] += f"\n\n{CLOSING[tag]}"
    return document


def short_document(number: int) -> dict[str, Any]:
    """The same with its first paragraph alone, about 1 kB of text in all, in one category."""
    document = release_document(number)
    for edition in document["editions"].values():
        edition["body_text"] = edition["body_text"].partition("\n\n")[0]
    document["categories"] = [CATEGORIES[number % len(CATEGORIES)]]
    return document


def long_document(number: int) -> dict[str, Any]:
    """The same closed twice, so that a push of it in both languages has 8 kB."""
    document = release_document(number)
    for tag, edition in document["editions"].items():
        edition["body_text"] += f"\n\n{CLOSING[tag]}"
    return document


def accept(
    storage: Storage, profile: Profile, number: int, make: Callable[[int], dict[str, Any]] = release_document
) -> Release:
    draft = validate_release(make(number), profile)
    return accept_release(storage, draft, ReleaseState.PUBLISHED, utc_now(), make_desk(storage))


def push_body(profile: Profile, languages: Sequence[str]) -> bytes:
    """What a partner gets of a long one."""
    release = published(validate_release(long_document(1), profile))
    event = Event(id=new_id(), type=EventType.RELEASE_PUBLISHED, created_at=utc_now(), release_id=release.id)
    return release_body(event, release, languages, profile)
