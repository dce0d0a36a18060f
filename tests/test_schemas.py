"""The contract: schemas, their examples, and the OpenAPI document made from them."""

from __future__ import annotations

import dataclasses
import json
import re
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

import schemas
from service import payloads
from service.api.openapi import build_openapi
from service.config import Language, Profile
from service.model import (
    ApiKey,
    Attempt,
    Channel,
    Delivery,
    DeliveryState,
    Edition,
    Event,
    EventType,
    Release,
    ReleaseMedium,
    ReleaseState,
    Role,
    Secret,
    StoredMedium,
    Subscription,
    SubscriptionState,
    Warning,
)
from service.schema_faults import find_schema_faults
from service.views import view_delivery, view_key, view_medium, view_release, view_subscription
from tests.conftest import ROOT

FOLDER = Path(schemas.__file__).parent
NAMES = sorted(path.name.removesuffix(".schema.json") for path in FOLDER.glob("*.schema.json"))
VALID = sorted((FOLDER / "examples/valid").glob("*.json"))
FAULTS = json.loads((FOLDER / "examples/invalid/faults.json").read_text("utf-8"))
INVALID = sorted(path for path in (FOLDER / "examples/invalid").glob("*.json") if path.name != "faults.json")

# Every route of the service that is no static file, and its methods.
ROUTES = {
    "/": {"get"},
    "/docs/": {"get"},
    "/hub": {"post"},
    "/feeds.opml": {"get"},
    "/feeds/{language}.opml": {"get"},
    "/feeds/{language}.{format}": {"get"},
    "/feeds/{language}/archive/{number}.{format}": {"get"},
    "/feeds/{language}/{category}.{format}": {"get"},
    "/feeds/{language}/{category}/archive/{number}.{format}": {"get"},
    "/healthz": {"get"},
    "/unsubscribe/{token}": {"get", "post"},
    "/media/{file_name}": {"get"},
    "/robots.txt": {"get"},
    "/sitemap.xml": {"get"},
    "/sitemaps/{number}.xml": {"get"},
    "/problems/{code}": {"get"},
    "/readyz": {"get"},
    "/v1/audit": {"get"},
    "/v1/deliveries/{id}/redeliver": {"post"},
    "/v1/keys": {"get", "post"},
    "/v1/keys/{id}": {"delete"},
    "/v1/media": {"get", "post"},
    "/v1/media/{id}": {"get"},
    "/v1/notices": {"get"},
    "/v1/openapi.json": {"get"},
    "/v1/releases": {"get", "post"},
    "/v1/releases/{id}": {"get", "put"},
    "/v1/releases/{id}/audit": {"get"},
    "/v1/releases/{id}/deliveries": {"get"},
    "/v1/releases/{id}/diff": {"get"},
    "/v1/releases/{id}/previews": {"post"},
    "/v1/releases/{id}/publish": {"post"},
    "/v1/releases/{id}/receipts": {"get"},
    "/v1/releases/{id}/revisions": {"get"},
    "/v1/releases/{id}/revisions/{number}": {"get"},
    "/v1/releases/{id}/schedule": {"post"},
    "/v1/releases/{id}/unschedule": {"post"},
    "/v1/releases/{id}/withdraw": {"post"},
    "/v1/subscriptions": {"get", "post"},
    "/v1/subscriptions/{id}": {"delete", "get", "patch"},
    "/v1/subscriptions/{id}/deliveries": {"get"},
    "/v1/subscriptions/{id}/deliveries/{delivery_id}": {"get"},
    "/v1/subscriptions/{id}/rotate-secret": {"post"},
    "/v1/subscriptions/{id}/replay": {"post"},
    "/v1/subscriptions/{id}/replays/{replay}": {"get"},
    "/v1/subscriptions/{id}/resume": {"post"},
    "/v1/subscriptions/{id}/test": {"post"},
    "/{language}/": {"get"},
    "/{language}/feeds/": {"get"},
    "/{language}/previews/{token}": {"get"},
    "/{language}/releases/{slug}": {"get"},
}


def find_references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        yield from (value for key, value in node.items() if key == "$ref")
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from find_references(child)


def follow(document: Any, pointer: str) -> Any:
    for step in pointer.removeprefix("#").removeprefix("/").split("/"):
        document = document[step.replace("~1", "/").replace("~0", "~")]
    return document


@pytest.mark.parametrize("name", NAMES)
def test_each_schema_is_valid_2020_12_and_named_after_its_file(name: str) -> None:
    schema = schemas.load_schema(name)
    jsonschema_rs.meta.validate(schema)
    assert (schema["$schema"], schema["$id"]) == (schemas.DRAFT, name)


@pytest.mark.parametrize("name", NAMES)
def test_each_reference_of_a_schema_leads_somewhere(name: str) -> None:
    for reference in find_references(schemas.load_schema(name)):
        file, _, pointer = reference.partition("#")
        target = schemas.load_schema(file.removesuffix(".schema.json") if file else name)
        assert follow(target, pointer) if pointer else target
    assert schemas.find_validator(name)


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
def test_each_valid_example_passes_the_schema_that_it_is_named_after(path: Path) -> None:
    errors = schemas.find_validator(path.name.split(".")[0]).iter_errors(json.loads(path.read_text("utf-8")))
    assert [(error.instance_path, error.message) for error in errors] == []


@pytest.mark.parametrize("path", INVALID, ids=lambda path: path.stem)
def test_each_invalid_example_has_exactly_the_faults_that_are_listed_for_it(path: Path) -> None:
    faults = find_schema_faults(path.name.split(".")[0], json.loads(path.read_text("utf-8")))
    assert {fault.pointer: fault.code for fault in faults} == FAULTS[path.name]


def test_no_fault_is_listed_for_an_example_that_is_not_there() -> None:
    assert sorted(FAULTS) == [path.name for path in INVALID]


@pytest.mark.parametrize("name", ["release", "subscription", "newsroom"])
def test_each_posted_document_has_examples_of_both_kinds(name: str) -> None:
    assert all(any(path.name.startswith(f"{name}.") for path in paths) for paths in (VALID, INVALID))


def test_openapi_is_valid_3_1() -> None:
    errors = list(OpenAPIV31SpecValidator(build_openapi("https://news.example")).iter_errors())
    assert errors == []


def test_each_reference_of_openapi_leads_somewhere_inside_it() -> None:
    document = build_openapi("https://news.example")
    references = list(find_references(document))
    assert references
    for reference in references:
        assert reference.startswith("#/components/"), reference
        assert follow(document, reference)


def test_openapi_keeps_nothing_that_names_a_file() -> None:
    text = json.dumps(build_openapi("https://news.example"))
    assert [word for word in ('"$id"', '"$schema"', '"$defs"', ".schema.json") if word in text] == []


def test_openapi_holds_every_shape_that_the_api_speaks_and_not_the_profile() -> None:
    components = build_openapi("https://news.example")["components"]["schemas"]
    assert {name for name in components if "." not in name} == set(NAMES) - {"newsroom"}


def test_openapi_covers_every_route_and_method() -> None:
    methods = {"get", "post", "put", "patch", "delete"}
    paths = build_openapi("https://news.example")["paths"]
    assert {path: methods & set(item) for path, item in paths.items()} == ROUTES


def test_every_operation_under_v1_but_the_description_itself_needs_a_key_with_a_role() -> None:
    document = build_openapi("https://news.example")
    for path, item in document["paths"].items():
        for method in ROUTES[path]:
            operation = item[method]
            needs = operation.get("security", document["security"])
            roles = {role for need in needs for role in need["bearerAuth"]}
            is_private = path.startswith("/v1/") and path != "/v1/openapi.json"
            assert bool(roles) == is_private, (method, path)
            assert all(role in operation["description"] for role in roles), (method, path)


def test_openapi_names_the_server_and_changes_no_schema_on_the_way() -> None:
    before = json.dumps(schemas.load_schema("release-view"))
    assert build_openapi("https://a.example")["servers"] == [{"url": "https://a.example"}]
    assert build_openapi("https://b.example")["servers"] == [{"url": "https://b.example"}]
    assert json.dumps(schemas.load_schema("release-view")) == before


ID, NOW = uuid.UUID("01990000-0000-7000-8000-000000000001"), datetime(2026, 9, 18, 12, tzinfo=UTC)
PROFILE = Profile(
    id="tag:news.example,2026:newsroom", base_url="https://news.example", name={"en": "News"}, description={},
    languages=(Language("en", "en", "English"),), categories={}, contact_email=None, icon=None, feed_entries=25,
)
EDITION = Edition(language="en", headline="A", summary="B", body_text="B", body_html="<p>B</p>")
PICTURE = ReleaseMedium(url="https://cdn.example/a.jpg", type="image/jpeg", alt={"en": "E", "zh-Hans": "F"})
UPLOAD = ReleaseMedium(
    url="/media/a.pdf", media_id=ID, type="application/pdf", byte_length=7, title={"en": "G"}, credit={"en": "H"},
)
FILE = StoredMedium(
    id=ID, file_name="a.jpg", digest="a", type="image/jpeg", byte_length=7, created_at=NOW, width=3, height=2,
)
RELEASE = Release(
    id=ID, slug="a", revision=1, state=ReleaseState.PUBLISHED, created_at=NOW, updated_at=NOW, published_at=NOW,
    editions=(EDITION, dataclasses.replace(EDITION, language="zh-Hans", dateline="C")), categories=("x",),
    contacts=({"name": "D"},), media=(PICTURE, UPLOAD),
    warnings=(Warning(pointer="/editions/en", code="markup_removed"),),
)
DRAFT = dataclasses.replace(
    RELEASE, state=ReleaseState.DRAFT, published_at=None, set_aside_at=NOW, authoritative_language="en"
)
SUBSCRIPTION = Subscription(
    id=ID, partner="E", channel=Channel.WEBHOOK, callback="https://e.example/", languages=("en",), categories=(),
    secret=Secret("whsec_x"), state=SubscriptionState.ACTIVE, created_at=NOW,
)
DELIVERY = Delivery(
    id=ID, event_id=ID, event_type=EventType.RELEASE_PUBLISHED, subscription_id=ID, partner="E",
    channel=Channel.WEBHOOK, state=DeliveryState.DUE, created_at=NOW, release_id=ID, revision=1, next_attempt_at=NOW,
    attempts=(Attempt(number=1, started_at=NOW, duration_ms=7, error="timeout"),),
)
PING = Delivery(
    id=ID, event_id=ID, event_type=EventType.SUBSCRIPTION_TEST, subscription_id=ID, partner="E",
    channel=Channel.WEBHOOK, state=DeliveryState.DELIVERED, created_at=NOW, delivered_at=NOW,
    attempts=(Attempt(number=1, started_at=NOW, duration_ms=7, status=200),),
)
EVENT = Event(id=ID, type=EventType.RELEASE_PUBLISHED, created_at=NOW, release_id=ID, revision=1)
TEST = Event(id=ID, type=EventType.SUBSCRIPTION_TEST, created_at=NOW)


@pytest.mark.parametrize(("name", "document"), [
    ("release-view", view_release(RELEASE, PROFILE)),
    ("release-view", view_release(DRAFT, PROFILE)),
    ("subscription-view", view_subscription(SUBSCRIPTION)),
    ("subscription-view", view_subscription(dataclasses.replace(SUBSCRIPTION, channel=Channel.WEBSUB, topic="/f"))),
    ("subscription-view", {**view_subscription(SUBSCRIPTION), "secret": SUBSCRIPTION.secret.reveal()}),
    ("delivery-view", view_delivery(DELIVERY)),
    ("delivery-view", view_delivery(PING)),
    ("delivery-view", view_delivery(dataclasses.replace(PING, channel=Channel.EMAIL))),
    ("medium-view", view_medium(FILE, PROFILE)),
    ("medium-view", view_medium(dataclasses.replace(FILE, width=None, height=None, name="I"), PROFILE)),
    ("key-view", view_key(ApiKey(id=ID, name="F", role=Role.PARTNER, created_at=NOW, partner="E"))),
    ("push", json.loads(payloads.release_body(EVENT, RELEASE, ["en"], PROFILE))),
    ("push", json.loads(payloads.test_payload(TEST, SUBSCRIPTION).body)),
])
def test_what_the_service_shows_is_what_the_contract_says(name: str, document: dict[str, Any]) -> None:
    assert [(error.instance_path, error.message) for error in schemas.find_validator(name).iter_errors(document)] == []


@pytest.mark.parametrize(("name", "known"), [
    ("Asia/Shanghai", True), ("UTC", True), ("Asia/Beijing", False), ("America", False), ("", False),
    ("../UTC", False), ("/etc/passwd", False), ("UTC\0", False), ("x" * 300, False),
])
def test_a_time_zone_is_a_name_of_the_iana_database(name: str, known: bool) -> None:
    assert schemas.is_time_zone(name) == known


@pytest.mark.parametrize("blank", ["", " \u3000\n", "\u200b", "\u2060\u00ad", "\u3164\ufe0f", "\u2800", "\u202e"])
def test_what_nobody_sees_is_not_visible(blank: str) -> None:
    assert not schemas.is_visible(blank)
    assert schemas.is_visible(f"{blank}。")


def test_the_pushes_in_the_docs_of_partners_are_real_ones() -> None:
    """Written by hand, they had lacked what every push has."""
    page = (ROOT / "docs/partners.md").read_text("utf-8")
    pushes = [block for block in re.findall(r"```json\n(.*?)```", page, re.DOTALL) if '"type": "release.' in block]
    assert len(pushes) == 2
    for push in map(json.loads, pushes):
        assert find_schema_faults("push", push) == []
        assert all(re.fullmatch(r"[0-9T:-]+\.\d{3}Z", time) for time in (push["timestamp"], published_at(push)))


def published_at(push: dict[str, Any]) -> str:
    return str(push["data"]["release"]["published_at"])
