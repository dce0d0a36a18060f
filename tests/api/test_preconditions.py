"""ETag, If-Match and If-None-Match of a release (RFC 9110 sections 8.8 and 13)."""

from __future__ import annotations

import json
import re
from functools import partial
from typing import Any

import pytest

from tests.api.desk import Desk

BOTH = ("zh-Hans", "en")
REASON = {"zh-Hans": "内容有误。", "en": "An error."}


def test_the_etag_names_the_revision_wherever_the_release_is_shown(desk: Desk) -> None:
    answer = desk.ask("POST", "/v1/releases", desk.document)
    corrected = desk.put(answer.json, desk.reworded(*BOTH), if_match=answer.headers["ETag"])
    assert (corrected.status_code, corrected.json["state"]) == (200, "corrected")
    fetched = desk.get(f"/v1/releases/{answer.json['id']}")
    withdrawn = desk.move(answer.json, "withdraw", {"reason": REASON})
    assert [revision_in(each) for each in (answer, corrected, fetched, withdrawn)] == ["1", "2", "2", "2"]


def test_another_state_is_another_tag_and_the_same_is_the_same(desk: Desk, swap: Any) -> None:
    """A 304 never stands for an old state (RFC 9110 section 8.8.1): one tag, one content."""
    release = desk.post(status="draft")
    path = f"/v1/releases/{release['id']}"
    moves = {"schedule": {"publish_at": "2030-01-01T00:00:00Z"}, "unschedule": None, "publish": None}
    steps = [partial(desk.move, release, name, body) for name, body in moves.items()]
    seen = [desk.get(path)]
    for step in (*steps, swap, partial(desk.move, release, "withdraw", {"reason": REASON}), swap):
        assert desk.get(path, if_none_match=seen[-1].headers["ETag"]).status_code == 304
        step()
        seen.append(desk.get(path, if_none_match=seen[-1].headers["ETag"]))
    assert [answer.json["state"] for answer in seen] == [
        "draft", "scheduled", "draft", "published", "published", "withdrawn", "withdrawn",
    ]
    assert len({answer.data for answer in seen}) == len({answer.headers["ETag"] for answer in seen}) == 6
    assert {revision_in(answer) for answer in seen} == {"1"}


def test_a_revision_seen_before_it_went_public_may_be_corrected(desk: Desk, swap: Any) -> None:
    seen = desk.ask("POST", "/v1/releases", desk.document)
    swap()
    assert desk.get(f"/v1/releases/{seen.json['id']}").headers["ETag"] != seen.headers["ETag"]
    assert desk.put(seen.json, desk.reworded(*BOTH), if_match=seen.headers["ETag"]).status_code == 200


def test_what_is_unchanged_is_not_sent_again(desk: Desk) -> None:
    """RFC 9110 section 13.1.2: by weak comparison; section 15.4.5: the header of the 200, and no body."""
    made = desk.ask("POST", "/v1/releases", desk.document)
    path, tag = f"/v1/releases/{made.json['id']}", made.headers["ETag"]
    whole = desk.get(path)
    for known in (tag, f'"x", {tag}', f"W/{tag}", "*"):
        answer = desk.get(path, if_none_match=known)
        assert (answer.status_code, answer.data) == (304, b"")
        for name in ("ETag", "Cache-Control", "Vary"):
            assert answer.headers[name] == whole.headers[name]
    assert whole.headers["Cache-Control"] == "private, no-cache"
    for other in ('"x"', '"1"', tag.strip('"')[:-1]):
        assert desk.get(path, if_none_match=other).status_code == 200


def test_the_tag_differs_with_the_language_that_warnings_are_told_in(desk: Desk) -> None:
    document = json.loads(json.dumps(desk.document))
    document["editions"]["zh-Hans"]["headline"] = "天津,上海"
    made = desk.ask("POST", "/v1/releases", document)
    path = f"/v1/releases/{made.json['id']}"
    chinese, english = (desk.get(path, accept_language=name) for name in ("zh", "en"))
    assert chinese.json["warnings"] != english.json["warnings"]
    assert chinese.headers["ETag"] != english.headers["ETag"]
    assert chinese.headers["Vary"] == "Accept-Language"


def test_a_weak_tag_is_told_as_such(desk: Desk) -> None:
    """RFC 9110 section 13.1.1: it never matches, however new it is. To say that somebody was faster would be untrue."""
    made = desk.ask("POST", "/v1/releases", desk.document)
    weak = f"W/{made.headers['ETag']}"
    for words, without in (("en", "without W/"), ("zh", "去掉 W/")):
        for name, body in (("withdraw", {"reason": REASON}), ("publish", None)):
            answer = desk.move(made.json, name, body, if_match=weak, accept_language=words)
            assert (answer.status_code, answer.json["code"]) == (412, "no_strong_tag")
            assert without in answer.json["detail"] and '"1"' in answer.json["detail"]
    assert desk.get(f"/v1/releases/{made.json['id']}").json["state"] == "published"


def test_what_is_not_there_matches_nothing(desk: Desk) -> None:
    """RFC 9110 section 13.2.1: what would fail without the condition fails as it would without."""
    missing = {"id": "0193588a-5f5c-7c3e-9d1b-0123456789ab"}
    for tag in ("*", '"1"', 'W/"1"'):
        assert desk.put(missing, desk.document, if_match=tag).status_code == 404


def revision_in(answer: Any) -> str:
    found = re.fullmatch(r'"(\d+)\.[0-9a-f]{16}"', answer.headers["ETag"])
    assert found
    return found[1]


@pytest.mark.parametrize(("if_match", "status", "code"), [
    (None, 428, "precondition_required"), ('"1"', 412, "precondition_failed"),
    ('"7", "9"', 412, "precondition_failed"), ('"1", "2"', 200, None), ('"1" ,\t, "2.0f", "x,\\"', 200, None),
    ('"1", W/"2"', 412, "precondition_failed"), ('W/"1", "2"', 200, None), ("*", 200, None),
    # No list may hold it, and in quotation marks it is a tag like any other.
    ('"1", *', 412, "precondition_failed"), ('"*"', 412, "precondition_failed"),
    ('W/"2"', 412, "no_strong_tag"), ('W/"2", W/"1"', 412, "no_strong_tag"), ("W/*", 412, "no_strong_tag"),
    ("", 412, "no_strong_tag"), (" , ", 412, "no_strong_tag"), ('"2', 412, "no_strong_tag"),
])
def test_nobody_overwrites_what_they_have_not_seen(
    desk: Desk, if_match: str | None, status: int, code: str | None
) -> None:
    release = desk.post()
    desk.put(release, desk.reworded(*BOTH))
    headers = {} if if_match is None else {"if_match": if_match}
    document = desk.reworded(*BOTH, categories=["events"])
    answer = desk.ask("PUT", f"/v1/releases/{release['id']}", document, **headers)
    assert (answer.status_code, answer.json.get("code")) == (status, code)
