"""The hub's rules as tables: what a request may be, how a callback is asked, what its answer means."""

from __future__ import annotations

import dataclasses
import random
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from service.config import Profile
from service.errors import Invalid
from service.feeds import list_topics
from service.model import Intent, IntentMode, IntentState
from service.networks import AllowedNetworks
from service.websub import DAY_SECONDS, WAITS, judge, question, read_intent, sign_content
from tests.factories import NOON

CALLBACK = "https://reader.example/hook"


def read(profile: Profile, **fields: str) -> Intent | None:
    form = {"hub.mode": "subscribe", "hub.topic": f"{profile.base_url}/feeds/en.atom", "hub.callback": CALLBACK}
    form |= {f"hub.{name}": value for name, value in fields.items()}
    return read_intent(form, profile, list_topics(profile), AllowedNetworks(), NOON)


def faults(profile: Profile, **fields: str) -> list[tuple[str, str]]:
    with pytest.raises(Invalid) as refused:
        read(profile, **fields)
    return [(fault.pointer.removeprefix("/hub."), fault.code) for fault in refused.value.faults]


@pytest.mark.parametrize(("asked", "days"), [
    (None, 10), ("", 10), ("0", 1), ("1", 1), (str(DAY_SECONDS), 1), (str(12 * DAY_SECONDS), 12),
    (str(30 * DAY_SECONDS), 30), (str(31 * DAY_SECONDS), 30), ("999999999999", 30),
])
def test_a_lease_is_10_days_unless_said_and_from_1_to_30(profile: Profile, asked: str | None, days: int) -> None:
    intent = read(profile) if asked is None else read(profile, lease_seconds=asked)
    assert intent and intent.lease_seconds == days * DAY_SECONDS


@pytest.mark.parametrize("lease", ["-1", "1.5", "ten", "９", " 1", "1e6", "9999999999999"])
def test_what_is_no_number_is_no_lease(profile: Profile, lease: str) -> None:
    assert faults(profile, lease_seconds=lease) == [("lease_seconds", "wrong_lease")]


@pytest.mark.parametrize("secret", ["x" * 199, "密" * 66, "密" * 66 + "x", "\t\n "])
def test_a_secret_may_be_anything_under_200_bytes(profile: Profile, secret: str) -> None:
    intent = read(profile, secret=secret)
    assert intent and intent.secret.reveal() == secret and secret not in repr(intent)


@pytest.mark.parametrize(("secret", "code"), [
    ("x" * 200, "long_secret"), ("密" * 67, "long_secret"), ("a\0b", "wrong_secret"),
])
def test_a_longer_secret_is_refused(profile: Profile, secret: str, code: str) -> None:
    assert faults(profile, secret=secret) == [("secret", code)]


@pytest.mark.parametrize("topic", [
    "/feeds/en.atom", "{}/feeds/en.atom/", "{}/feeds/EN.atom", "{}/feeds/en.atom?x=1", "{}/feeds/en.atom#x", "{}",
    "{}/feeds/en/archive/1.atom", "{}/feeds.opml", "{}/en/", "{}/feeds/en/none.atom", "https://other.example/feeds/en.atom",
    "{}/feeds/en/visits/archive/1.atom", "{}/feeds/en%2Eatom", "{}/feeds/en.atom\0",
])
def test_a_topic_is_the_very_address_of_a_feed(profile: Profile, topic: str) -> None:
    assert faults(profile, topic=topic.format(profile.base_url)) == [("topic", "unknown_topic")]


def test_each_language_category_and_format_is_a_topic(profile: Profile) -> None:
    topics = list_topics(profile)
    assert len(topics) == len(profile.languages) * (len(profile.categories) + 1) * 3
    for path in topics:
        intent = read(profile, topic=profile.base_url + path)
        assert intent and intent.topic == path


@pytest.mark.parametrize(("callback", "code"), [
    ("ftp://reader.example/", "callback_scheme"), ("https://10.0.0.1/", "callback_address"),
    ("https://127.1/", "callback_address"), ("http://[::1]/", "callback_address"),
    ("https://a@reader.example/", "callback_credentials"), ("https://reader.example/#x", "callback_fragment"),
    ("https://reader.example:8443/", "callback_port"), ("https://读者.example/", "callback_host"),
    ("https://reader.example/\r\nX: y", "callback_host"), ("https://reader.example/" + "x" * 2000, "too_long"),
])
def test_a_callback_is_vetted_as_that_of_any_subscription(profile: Profile, callback: str, code: str) -> None:
    assert faults(profile, callback=callback) == [("callback", code)]


def test_every_fault_is_told_at_once(profile: Profile) -> None:
    assert faults(profile, mode="resubscribe", topic="x", callback="x", secret="x" * 200, lease_seconds="x") == [
        ("callback", "callback_scheme"), ("lease_seconds", "wrong_lease"), ("mode", "not_allowed"),
        ("secret", "long_secret"), ("topic", "unknown_topic"),
    ]
    assert faults(profile, mode="", topic="", callback="") == [
        ("callback", "missing"), ("mode", "missing"), ("topic", "missing"),
    ]


def test_a_publishers_ping_asks_for_nothing(profile: Profile) -> None:
    assert read_intent({"hub.mode": "publish"}, profile, (), AllowedNetworks(), NOON) is None


@pytest.mark.parametrize(("spelling", "host"), [
    ("https://Reader.Example./x", "reader.example"), ("https://8.8.8.8/", "8.8.8.8"),
    ("https://0x08080808/", "8.8.8.8"), ("http://[2606:4700:0::1111]/", "2606:4700::1111"),
])
def test_one_host_has_one_budget_however_it_is_spelt(profile: Profile, spelling: str, host: str) -> None:
    intent = read(profile, callback=spelling)
    assert intent and intent.host == host


@pytest.mark.parametrize(("callback", "start"), [
    (CALLBACK, CALLBACK + "?hub.mode="), (CALLBACK + "?a=b", CALLBACK + "?a=b&hub.mode="),
    (CALLBACK + "?hub.mode=x&c=%E4%BD%A0", CALLBACK + "?hub.mode=x&c=%E4%BD%A0&hub.mode="),
])
def test_a_question_is_appended_to_what_the_callback_is(profile: Profile, callback: str, start: str) -> None:
    intent = read(profile, callback=callback)
    assert intent
    assert question(intent, profile.base_url, "c").startswith(start)


@pytest.mark.parametrize(("mode", "names"), [
    (IntentMode.SUBSCRIBE, {"mode", "topic", "challenge", "lease_seconds"}),
    (IntentMode.UNSUBSCRIBE, {"mode", "topic", "challenge"}),
    (IntentMode.DENIED, {"mode", "topic", "reason"}),
])
def test_a_question_says_what_its_mode_wants(profile: Profile, mode: IntentMode, names: set[str]) -> None:
    intent = read(profile)
    assert intent
    url = question(dataclasses.replace(intent, mode=mode, reason="因为 & 所以"), profile.base_url, "a+b/c=&")
    fields = parse_qs(urlsplit(url).query, strict_parsing=True)
    assert set(fields) == {f"hub.{name}" for name in names}
    assert fields["hub.topic"] == [f"{profile.base_url}/feeds/en.atom"]
    assert fields.get("hub.challenge", ["a+b/c=&"]) == ["a+b/c=&"]
    assert fields.get("hub.reason", ["因为 & 所以"]) == ["因为 & 所以"]


@pytest.mark.parametrize(("status", "body", "attempt", "state"), [
    (200, b"challenge", 1, IntentState.VERIFIED), (299, b"challenge", 1, IntentState.VERIFIED),
    (200, b"challenge\n", 1, IntentState.FAILED), (200, b"", 1, IntentState.FAILED),
    (199, b"challenge", 1, IntentState.FAILED), (301, b"challenge", 1, IntentState.FAILED),
    (308, b"challenge", 1, IntentState.FAILED), (404, b"challenge", 1, IntentState.FAILED),
    (410, b"", 1, IntentState.FAILED), (429, b"", 1, IntentState.DUE), (500, b"challenge", 1, IntentState.DUE),
    (503, b"", 2, IntentState.DUE), (None, b"", 1, IntentState.DUE), (None, b"", 2, IntentState.DUE),
    (None, b"", 3, IntentState.FAILED), (503, b"", 3, IntentState.FAILED),
])
def test_an_answer_means(
    profile: Profile, status: int | None, body: bytes, attempt: int, state: IntentState
) -> None:
    intent = read(profile)
    assert intent
    intent = dataclasses.replace(intent, attempt=attempt)
    decided, again_at = judge(intent, status, body, "challenge", NOON, random.Random(1))
    assert decided is state
    assert (again_at is not None) == (state is IntentState.DUE)
    if again_at:
        assert WAITS[attempt - 1] <= again_at - NOON <= WAITS[attempt - 1] * 1.2


def test_a_denial_is_told_once_somebody_took_it(profile: Profile) -> None:
    intent = read(profile)
    assert intent
    denial = dataclasses.replace(intent, mode=IntentMode.DENIED, attempt=1)
    assert judge(denial, 204, b"", "c", NOON, random.Random(1))[0] is IntentState.VERIFIED
    assert judge(denial, None, b"", "c", NOON, random.Random(1))[1] == pytest.approx(
        NOON + WAITS[0] * 1.1, abs=timedelta(seconds=1)
    )


def test_a_signature_is_the_hmac_of_the_bytes() -> None:
    """RFC 4231 section 4.3, test case 2."""
    expected: Any = "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    assert sign_content("Jefe", b"what do ya want for nothing?") == expected
