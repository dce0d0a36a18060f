"""What a webhook is sent: in which format, in which languages, and of what media type."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from flask.testing import FlaskClient
from lxml import etree

import schemas
from service.config import Profile
from service.deliveries import plan_due
from service.feeds import LONGEST_BODY_BYTES, entry_id
from service.model import (
    NO_SECRET,
    Attempt,
    Channel,
    DeliveryState,
    Edition,
    Event,
    EventType,
    Format,
    LanguageChoice,
    Release,
    ReleaseState,
    Subscription,
    SubscriptionState,
)
from service.payloads import choose_variant
from service.publishing import publish_due
from service.retries import CLAIM
from service.storage import Storage, claims
from service.storage.outcomes import Outcome, make_report, record_outcomes
from tests.conftest import StoppedClock
from tests.factories import NOON
from workers.channels.webhook import push
from workers.outbound import Request

Headers = dict[str, str]
Send = Callable[[], list[Request]]

ATOM = "{http://www.w3.org/2005/Atom}"
TOMBSTONE = "{http://purl.org/atompub/tombstones/1.0}deleted-entry"
ATOM_SCHEMA = etree.RelaxNG(etree.parse(Path(__file__).parents[1] / "formats/atom.rng"))
NINJS = json.loads((Path(__file__).parents[1] / "formats/ninjs.schema.json").read_text("utf-8"))
PICTURE = {
    "url": "https://cdn.example/a.jpg", "type": "image/jpeg", "width": 3, "height": 2, "byte_length": 9,
    "alt": {"zh-Hans": "桥", "en": "A bridge"}, "credit": {"en": "Photo: Gu Nian"},
}


@pytest.fixture
def send(storage: Storage, profile: Profile, clock: StoppedClock) -> Send:
    """Publishes, plans, and hands over what a courier would send, which is taken."""

    def send() -> list[Request]:
        clock.advance(seconds=2)
        publish_due(storage, profile, clock)
        plan_due(storage, profile, clock)
        with storage.write() as tx:
            held = claims.hold_due(tx, "me", limit=9, now=clock(), until=clock() + CLAIM).read()
            record_outcomes(tx, make_report([
                Outcome(claim=claim, state=DeliveryState.DELIVERED, next_attempt_at=None,
                        attempt=Attempt(number=1, started_at=clock(), duration_ms=1, status=204))
                for claim in held
            ], tx.dialect))
        return [next(push(claim, clock())) for claim in held]

    return send


@pytest.fixture
def post(client: FlaskClient, staff: Headers, release_document: dict[str, Any]) -> Callable[..., Any]:
    def post(**more: Any) -> Any:
        answer = client.post("/v1/releases", json=release_document | more, headers=staff)
        assert answer.status_code == 201, answer.text
        return answer.json

    return post


@pytest.fixture
def order(client: FlaskClient, staff: Headers) -> Callable[..., Any]:
    def order(**more: Any) -> Any:
        document = {"partner": "Daily", "channel": "webhook", "callback": "https://daily.example/hook",
                    "languages": ["zh-Hans", "en"]}
        return client.post("/v1/subscriptions", json=document | more, headers=staff)

    return order


def find_ninjs_faults(item: Any) -> list[str]:
    validator = jsonschema_rs.Draft202012Validator(NINJS, validate_formats=True)
    return [f"{error.instance_path}: {error.message}" for error in validator.iter_errors(item)]


def correct(client: FlaskClient, staff: Headers, release: Any, document: Any, **more: Any) -> None:
    document = json.loads(json.dumps(document)) | more
    for edition in document["editions"].values():
        edition["headline"] += " 2"
    answer = client.put(f"/v1/releases/{release['id']}", json=document, headers=staff | {"If-Match": "*"})
    assert answer.status_code == 200, answer.text


def withdraw(client: FlaskClient, staff: Headers, release: Any) -> None:
    reason = {"reason": {"zh-Hans": "数字有误", "en": "A figure was wrong"}}
    answer = client.post(f"/v1/releases/{release['id']}/withdraw", json=reason, headers=staff)
    assert answer.status_code == 200, answer.text


def test_by_default_it_is_our_json_in_each_language_that_was_ordered(
    order: Any, post: Any, send: Send, client: FlaskClient, staff: Headers
) -> None:
    made = order().json
    assert (made["format"], made["language_choice"]) == ("diglot", "all")
    post()
    [request] = send()
    message = json.loads(request.body)
    assert request.headers["content-type"] == "application/json"
    assert schemas.find_validator("push").is_valid(message)
    assert message["data"]["release"]["languages"] == ["zh-Hans", "en"]
    [delivery] = client.get(f"/v1/subscriptions/{made['id']}/deliveries", headers=staff).json["items"]
    assert (delivery["format"], delivery["languages"]) == ("diglot", ["zh-Hans", "en"])


@pytest.mark.parametrize("format", ["diglot", "ninjs", "atom"])
def test_of_the_first_available_only_the_sent_language_is_named(
    order: Any, post: Any, send: Send, client: FlaskClient, staff: Headers, format: str
) -> None:
    made = order(languages=["en", "zh-Hans"], language_choice="first_available", format=format).json
    post()
    [request] = send()
    [delivery] = client.get(f"/v1/subscriptions/{made['id']}/deliveries", headers=staff).json["items"]
    assert (delivery["format"], delivery["languages"]) == (format, ["en"])
    if format == "atom":
        assert etree.fromstring(request.body).get("{http://www.w3.org/XML/1998/namespace}lang") == "en"
    elif format == "ninjs":
        item = json.loads(request.body)
        assert item["language"] == "en" and "associations" not in item
    else:
        release = json.loads(request.body)["data"]["release"]
        assert (release["languages"], list(release["editions"])) == (["en"], ["en"])


def test_a_ninjs_item_for_each_language_is_valid_and_linked_by_the_release(
    order: Any, post: Any, send: Send, release_document: dict[str, Any]
) -> None:
    order(format="ninjs")
    release = post(media=[PICTURE])
    [request] = send()
    item = json.loads(request.body)
    assert find_ninjs_faults(item) == []
    assert request.headers["content-type"] == "application/json"
    translation, picture = item["associations"]
    assert (item["language"], translation["language"], translation["rel"]) == ("zh-Hans", "en", "translation")
    for each, tag in ((item, "zh-Hans"), (translation, "en")):
        edition = release_document["editions"][tag]
        assert each["uri"] == entry_id(uuid.UUID(release["id"]), tag)
        assert each["altIds"] == [{"role": "release", "value": f"urn:uuid:{release['id']}"}]
        assert each["headlines"][0]["value"] == edition["headline"]
        html, plain = each["bodies"]
        assert plain["value"] == f"{edition['dateline']}\n\n{edition['body_text']}"
        assert html["value"].startswith(f"<p>{edition['dateline']}</p>") and html["contentType"] == "text/html"
        assert (each["version"], each["pubStatus"]) == ("1", "usable")
    assert item["subjects"][0] == {"name": "合作协议", "literal": "agreements", "rel": "about"}
    assert (picture["rel"], picture["type"], picture["uri"][:9]) == ("media", "picture", "urn:uuid:")
    assert picture["descriptions"] == [{"role": "alt", "value": "桥"}]
    assert picture["renditions"][0] == {
        "name": "original", "href": PICTURE["url"], "contentType": "image/jpeg",
        "width": 3, "height": 2, "sizeInBytes": 9,
    }
    assert translation["associations"][0]["by"] == "Photo: Gu Nian"


@pytest.mark.parametrize("spoil", [
    lambda item: item | {"headline": "x"}, lambda item: item | {"version": 1},
    lambda item: item | {"pubStatus": "withdrawn"}, lambda item: item | {"versionCreated": "today"},
    lambda item: {name: value for name, value in item.items() if name != "uri"},
    lambda item: item | {"associations": [{"uri": "urn:x:1"}]},
    lambda item: item | {"associations": [{"name": "n", "uri": "urn:x:1", "headline": "x"}]},
])
def test_the_rules_of_ninjs_do_find_faults(order: Any, post: Any, send: Send, spoil: Any) -> None:
    order(format="ninjs")
    post()
    [request] = send()
    assert find_ninjs_faults(spoil(json.loads(request.body)))


def test_ninjs_tells_of_a_correction_and_of_a_withdrawal_without_the_text(
    order: Any, post: Any, send: Send, client: FlaskClient, staff: Headers, release_document: dict[str, Any]
) -> None:
    order(format="ninjs")
    release = post()
    send()
    correct(client, staff, release, release_document, change_note={"en": "The date.", "zh-Hans": "日期"})
    [request] = send()
    item = json.loads(request.body)
    assert find_ninjs_faults(item) == []
    assert (item["version"], item["edNote"], item["pubStatus"]) == ("2", "日期", "usable")
    withdraw(client, staff, release)
    [request] = send()
    gone = json.loads(request.body)
    assert find_ninjs_faults(gone) == []
    others = [other for other in gone["associations"] if other["rel"] == "translation"]
    assert [each["pubStatus"] for each in (gone, *others)] == ["canceled", "canceled"]
    assert [each["uri"] for each in (gone, *others)] == [
        entry_id(uuid.UUID(release["id"]), tag) for tag in ("zh-Hans", "en")
    ]
    assert gone["edNote"] == "数字有误"
    text = release_document["editions"]["en"]["body_text"]
    assert text.encode()[:40] not in request.body and not {"headlines", "bodies", "descriptions"} & set(gone)


def test_an_atom_entry_is_the_feeds_own_and_stands_alone(
    order: Any, post: Any, send: Send, client: FlaskClient
) -> None:
    order(format="atom", languages=["en"])
    post(media=[PICTURE])
    [request] = send()
    assert request.headers["content-type"] == "application/atom+xml;type=entry"
    entry = etree.fromstring(request.body)
    ATOM_SCHEMA.assertValid(entry)
    assert entry.findtext(f"{ATOM}author/{ATOM}name") == "Vocational Education Exchange Newsroom"
    [in_feed] = etree.fromstring(client.get("/feeds/en.atom").data).findall(f"{ATOM}entry")
    entry.remove(entry.find(f"{ATOM}author"))
    assert canonical(entry) == canonical(in_feed)


def test_a_long_text_is_pushed_whole_where_the_feed_leads_to_its_page(
    order: Any, post: Any, send: Send, client: FlaskClient, release_document: dict[str, Any]
) -> None:
    order(format="atom", languages=["en"])
    release_document["editions"]["en"]["body_text"] = "A long speech. " * (LONGEST_BODY_BYTES // 15) + "The end of it."
    post(editions=release_document["editions"])
    [request] = send()
    assert b"The end of it." in request.body and b"Read the whole text" not in request.body
    shown = client.get("/feeds/en.atom").data
    assert b"The end of it." not in shown and b"Read the whole text" in shown


def canonical(element: Any) -> str:
    return etree.canonicalize(etree.tostring(element, encoding="unicode", with_tail=False), strip_text=True)


def test_a_withdrawn_atom_entry_leaves_tombstones_for_all_its_languages(
    order: Any, post: Any, send: Send, client: FlaskClient, staff: Headers
) -> None:
    order(format="atom", languages=["en", "zh-Hans"], language_choice="first_available")
    release = post()
    send()
    withdraw(client, staff, release)
    [request] = send()
    assert request.headers["content-type"] == "application/atom+xml;type=feed"
    feed = etree.fromstring(request.body)
    ATOM_SCHEMA.assertValid(feed)
    refs = {stone.get("ref") for stone in feed.iter(TOMBSTONE)}
    assert refs == {entry_id(uuid.UUID(release["id"]), tag) for tag in ("en", "zh-Hans")}
    when = next(feed.iter(TOMBSTONE)).get("when")
    assert datetime.fromisoformat(when)
    assert feed.findall(f"{ATOM}entry") == []


def test_a_format_that_changes_changes_what_comes_next_and_not_what_waits(
    order: Any, post: Any, send: Send, client: FlaskClient, staff: Headers, storage: Storage, profile: Profile,
    clock: StoppedClock,
) -> None:
    made = order(languages=["en"]).json
    post()
    clock.advance(seconds=2)
    publish_due(storage, profile, clock)
    plan_due(storage, profile, clock)
    answer = client.patch(f"/v1/subscriptions/{made['id']}", json={"format": "atom"}, headers=staff)
    assert answer.json["format"] == "atom"
    post()
    media_types = [request.headers["content-type"] for _ in range(2) for request in send()]
    assert media_types == ["application/json", "application/atom+xml;type=entry"]


def test_a_test_is_json_in_every_format(order: Any, send: Send, client: FlaskClient, staff: Headers) -> None:
    for format in Format:
        made = order(format=format.value, languages=["en"]).json
        client.post(f"/v1/subscriptions/{made['id']}/test", headers=staff)
    requests = send()
    assert [json.loads(request.body)["type"] for request in requests] == ["subscription.test"] * 3
    assert {request.headers["content-type"] for request in requests} == {"application/json"}


def test_subscriptions_alike_share_their_bytes(order: Any, post: Any, send: Send, storage: Storage) -> None:
    for languages in (["zh-Hans", "en"], ["en", "zh-Hans"]):
        order(languages=languages)
        order(languages=languages, format="ninjs")
    post()
    requests = send()
    assert len(requests) == 4 and len({request.body for request in requests}) == 2
    with storage.read() as tx:
        assert tx.exec_driver_sql("SELECT count(*) FROM payloads").scalar_one() == 2


@pytest.mark.parametrize("more", [
    {"format": "atom"}, {"format": "atom", "language_choice": "all"},
])
def test_an_atom_entry_has_one_language(order: Any, client: FlaskClient, staff: Headers, more: Any) -> None:
    answer = order(**more)
    assert answer.status_code == 422
    assert [(error["pointer"], error["code"]) for error in answer.json["errors"]] == [("/languages", "one_language")]
    answer = order(**more, callback="ftp://daily.example/")
    assert {error["pointer"] for error in answer.json["errors"]} == {"/languages", "/callback"}, "all at once"
    made = order().json
    answer = client.patch(f"/v1/subscriptions/{made['id']}", json={"format": "atom"}, headers=staff)
    assert (answer.status_code, answer.json["errors"][0]["code"]) == (422, "one_language")
    kept = client.get(f"/v1/subscriptions/{made['id']}", headers=staff).json
    assert kept["format"] == "diglot"


@pytest.mark.parametrize(("member", "value"), [("format", "rss"), ("language_choice", "any"), ("signature", "v2")])
def test_an_unknown_choice_is_told_with_those_that_there_are(order: Any, member: str, value: str) -> None:
    answer = order(**{member: value})
    assert [(error["pointer"], error["code"]) for error in answer.json["errors"]] == [(f"/{member}", "not_allowed")]


def made_release(*tags: str) -> Release:
    editions = tuple(
        Edition(language=tag, headline="h", summary="s", body_text="b", body_html="<p>b</p>") for tag in tags
    )
    return Release(id=uuid.uuid4(), slug="s", revision=1, state=ReleaseState.PUBLISHED, editions=editions,
                   created_at=NOON, updated_at=NOON, published_at=NOON)


def made_order(choice: LanguageChoice, *languages: str) -> Subscription:
    return Subscription(
        id=uuid.uuid4(), partner="P", channel=Channel.WEBHOOK, callback="https://p.example/", languages=languages,
        language_choice=choice, categories=(), secret=NO_SECRET, state=SubscriptionState.ACTIVE, created_at=NOON,
    )


def cases() -> Iterator[Any]:
    every, first = LanguageChoice.ALL, LanguageChoice.FIRST_AVAILABLE
    published, withdrawn = EventType.RELEASE_PUBLISHED, EventType.RELEASE_WITHDRAWN
    yield every, ("en", "zh-Hans"), published, ("zh-Hans", "en")
    yield every, ("fr", "en"), published, ("en",)
    yield first, ("fr", "en", "zh-Hans"), published, ("en",)
    yield first, ("zh-Hans", "en"), published, ("zh-Hans",)
    # Whoever was sent a revision is told of the next, also where it lost what was ordered.
    yield every, ("fr",), EventType.RELEASE_CORRECTED, ("zh-Hans", "en")
    yield first, ("fr",), EventType.RELEASE_CORRECTED, ("zh-Hans",)
    yield first, ("en",), withdrawn, ("zh-Hans", "en")


@pytest.mark.parametrize(("choice", "ordered", "type", "sent"), list(cases()))
def test_which_languages_are_sent(
    choice: LanguageChoice, ordered: tuple[str, ...], type: EventType, sent: tuple[str, ...]
) -> None:
    event = Event(id=uuid.uuid4(), type=type, created_at=NOON)
    variant = choose_variant(event, made_order(choice, *ordered).order, made_release("zh-Hans", "en"))
    assert variant.languages == sent
