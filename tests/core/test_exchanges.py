"""What is kept of an exchange can be shown to anybody who may see the delivery, whatever bytes came."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.exchanges import MOST_BODY_BYTES, MOST_HEADER_CHARACTERS, keep_body, keep_request, keep_response
from service.signing import make_private_key, make_secret, sign, sign_with_all


def test_our_headers_are_kept_but_no_signature_that_anybody_could_use() -> None:
    secrets = [make_secret(), make_secret(), make_private_key()]
    signatures = sign_with_all(secrets, "msg_1", 1, b"{}")
    kept = keep_request({"content-type": "application/json", "webhook-id": "msg_1", "webhook-timestamp": "1",
                         "user-agent": "Diglot/1", "webhook-signature": signatures})
    assert kept["webhook-id"] == "msg_1" and list(kept)[:2] == ["content-type", "webhook-id"]
    shown = kept["webhook-signature"].split(" ")
    assert [words.rstrip("…") for words in shown] == [
        sign(secret, "msg_1", 1, b"{}")[:len(scheme) + 4]
        for secret, scheme in zip(secrets, ("v1,", "v1,", "v1a,"), strict=True)
    ]


@pytest.mark.parametrize(("name", "value", "shown"), [
    ("Authorization", "Basic dXNlcjpwYXNz", "…"), ("X-Some-Token", "hunter2", "…"), ("Cookie", "a=hunter2", "…"),
    ("X-Hub-Signature", "sha256=9f86d081884c7d65", "sha256=9f86…"), ("X-Signature", "hunter2hunter2", "hunt…"),
])
def test_what_may_be_a_credential_is_not_kept(name: str, value: str, shown: str) -> None:
    assert keep_request({name: value}) == {name: shown}


def test_a_receivers_headers_are_kept_but_its_cookies() -> None:
    assert keep_response({"retry-after": "5", "set-cookie": "session=hunter2"}) == {
        "retry-after": "5", "set-cookie": "…",
    }


@given(st.binary(max_size=3 * MOST_BODY_BYTES))
def test_any_body_is_a_short_text_without_control_characters(body: bytes) -> None:
    kept = keep_body(body)
    assert len(kept.encode()) <= 3 * MOST_BODY_BYTES and len(kept) <= MOST_BODY_BYTES
    assert json.loads(json.dumps(kept)) == kept
    assert all(character in "\t\n\r" or character.isprintable() or ord(character) >= 0xA0 for character in kept)


@given(st.dictionaries(st.text(st.characters(max_codepoint=255), max_size=50),
                       st.text(st.characters(max_codepoint=255), max_size=2000), max_size=40))
def test_any_headers_are_bounded_and_without_control_characters(headers: dict[str, str]) -> None:
    kept = keep_response(headers)
    assert sum(len(name) + len(value) for name, value in kept.items()) <= MOST_HEADER_CHARACTERS
    shown = "".join(name + value for name, value in kept.items())
    assert all(c in "\t\n\r" or 0x20 <= ord(c) < 0x7F or ord(c) >= 0xA0 for c in shown)


@pytest.mark.parametrize(("body", "kept"), [
    ("好".encode() * 1000, "好" * (MOST_BODY_BYTES // 3)), (b"\xff\x00ok", "��ok"), (b"", ""),
    ("末".encode()[:2], "�"), (b"a\tb\r\n", "a\tb\r\n"),
])
def test_a_body_is_cut_between_characters(body: bytes, kept: str) -> None:
    assert keep_body(body) == kept
