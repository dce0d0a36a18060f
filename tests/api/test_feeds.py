"""Feeds as they are served: what a polite reader sends back is understood, and changed bytes are never a 304."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from typing import Any

import feedparser
import pytest
from flask.testing import FlaskClient
from lxml import etree

from service.app import create_app
from service.edge import Services
from service.publishing import publish_due
from service.representations import MAX_AGE_SECONDS
from tests.conftest import StoppedClock
from tests.hatches import serve

FEEDS = [f"/feeds/{name}.{format_}" for name in ("zh", "en") for format_ in ("atom", "rss", "json")]
MEDIA_TYPES = {"atom": "application/atom+xml", "rss": "application/rss+xml", "json": "application/feed+json"}


@pytest.fixture(params=["flask", "hatch"])
def client(request: pytest.FixtureRequest, services: Services) -> Iterator[Any]:
    """The same is said of what Flask answers and of what is handed out before it, from memory."""
    if request.param == "flask":
        yield create_app(services).test_client()
    else:
        with serve(services) as (client, _):
            yield client


@pytest.fixture
def posted(
    client: FlaskClient, staff: dict[str, str], release_document: dict[str, Any], services: Services,
    clock: StoppedClock,
) -> Any:
    release = client.post("/v1/releases", json=release_document, headers=staff).json
    publish_due(services.storage, services.profile, clock)
    return release


@pytest.mark.parametrize("path", FEEDS)
def test_a_feed_is_served_for_readers(client: FlaskClient, posted: Any, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    assert answer.content_type == f"{MEDIA_TYPES[path.split('.')[1]]}; charset=utf-8"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["Cache-Control"] == f"public, max-age={MAX_AGE_SECONDS}"
    assert "Accept-Encoding" in answer.headers["Vary"]
    assert not answer.headers["ETag"].startswith("W/")
    assert answer.last_modified is not None


@pytest.mark.parametrize("path", [path for path in FEEDS if not path.endswith("json")])
def test_a_browser_gets_the_same_bytes_by_a_name_under_which_it_shows_them(
    client: FlaskClient, posted: Any, path: str
) -> None:
    """Chromium shows application/atom+xml as source, Firefox saves it. The tags are the same, caches are told."""
    to_reader, to_person = client.get(path), client.get(path, headers={"Sec-Fetch-Dest": "document"})
    assert to_person.content_type == "application/xml; charset=utf-8"
    assert (to_person.data, to_person.headers["ETag"]) == (to_reader.data, to_reader.headers["ETag"])
    assert "Sec-Fetch-Dest" in to_reader.headers["Vary"] and "Sec-Fetch-Dest" in to_person.headers["Vary"]
    assert client.get(path, headers={"Sec-Fetch-Dest": "empty"}).content_type == to_reader.content_type
    assert client.get("/feeds/zh.json", headers={"Sec-Fetch-Dest": "document"}).mimetype == MEDIA_TYPES["json"]


@pytest.mark.parametrize("path", [path for path in FEEDS if not path.endswith("json")])
def test_a_feed_names_a_style_that_is_there(client: FlaskClient, posted: Any, services: Services, path: str) -> None:
    instruction = etree.fromstring(client.get(path).data).getprevious()
    assert (instruction.target, instruction.get("type")) == ("xml-stylesheet", "text/css")
    with client.get(instruction.get("href").removeprefix(services.profile.base_url)) as style:
        assert (style.status_code, style.mimetype) == (200, "text/css")


@pytest.mark.parametrize("path", FEEDS)
def test_the_packed_feed_is_the_same_with_a_tag_of_its_own(client: FlaskClient, posted: Any, path: str) -> None:
    plain, packed = client.get(path), client.get(path, headers={"Accept-Encoding": "gzip, br"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.data) == plain.data
    assert packed.headers["ETag"] != plain.headers["ETag"]
    refused = client.get(path, headers={"Accept-Encoding": "gzip;q=0"})
    assert "Content-Encoding" not in refused.headers


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
@pytest.mark.parametrize("form", ["{tag}", "W/{tag}", '"other", W/{tag}', "*"])
def test_a_known_tag_is_answered_304(client: FlaskClient, posted: Any, encoding: str, form: str) -> None:
    """RFC 9110 section 13.1.2: weak comparison, lists, and the asterisk."""
    tag = client.get("/feeds/zh.atom", headers={"Accept-Encoding": encoding}).headers["ETag"]
    headers = {"Accept-Encoding": encoding, "If-None-Match": form.format(tag=tag)}
    answer = client.get("/feeds/zh.atom", headers=headers)
    assert (answer.status_code, answer.data) == (304, b"")
    for name in ("ETag", "Cache-Control", "Vary"):
        assert name in answer.headers, f"RFC 9110 section 15.4.5 asks for {name}"


def test_a_date_is_answered_304_until_the_feed_changes(
    client: FlaskClient, staff: dict[str, str], posted: Any, release_document: dict[str, Any],
    services: Services, clock: StoppedClock,
) -> None:
    before = client.get("/feeds/en.rss")
    since = {"If-Modified-Since": before.headers["Last-Modified"]}
    assert client.get("/feeds/en.rss", headers=since).status_code == 304
    client.post("/v1/releases", json=release_document, headers=staff)
    clock.advance(seconds=1)
    publish_due(services.storage, services.profile, clock)
    after = client.get("/feeds/en.rss", headers=since)
    assert after.status_code == 200
    assert after.last_modified > before.last_modified  # type: ignore[operator]


def test_a_tag_outweighs_a_date(client: FlaskClient, posted: Any) -> None:
    """RFC 9110 section 13.1.3: with If-None-Match, If-Modified-Since is ignored."""
    headers = {"If-None-Match": '"other"', "If-Modified-Since": client.get("/feeds/en.rss").headers["Last-Modified"]}
    assert client.get("/feeds/en.rss", headers=headers).status_code == 200


def test_head_is_get_without_the_body(client: FlaskClient, posted: Any) -> None:
    get, head = client.get("/feeds/en.json"), client.head("/feeds/en.json")
    assert (head.status_code, head.data) == (200, b"")
    for name in ("ETag", "Last-Modified", "Content-Type", "Content-Length"):
        assert head.headers[name] == get.headers[name]


@pytest.mark.parametrize("path", ["/feeds/fr.atom", "/feeds/zh.xml", "/feeds/../v1/keys"])
def test_an_unknown_feed_is_not_found(client: FlaskClient, posted: Any, path: str) -> None:
    assert client.get(path).status_code == 404


def test_self_urls_come_from_the_profile_not_from_the_request(client: FlaskClient, posted: Any) -> None:
    """A reader that trusts `self` would move its subscription to whatever host was asked."""
    answer = client.get("/feeds/en.atom", headers={"Host": "evil.example", "X-Forwarded-Host": "evil.example"})
    assert b"evil.example" not in answer.data
    parsed = feedparser.parse(answer.data)
    assert [link.href for link in parsed.feed.links if link.rel == "self"] == ["http://127.0.0.1:8080/feeds/en.atom"]


@pytest.mark.parametrize(("name", "other"), [("zh", "en"), ("en", "zh")])
def test_pages_and_feeds_point_at_each_other(client: FlaskClient, posted: Any, name: str, other: str) -> None:
    page = client.get(f"/{name}/releases/{posted['slug']}")
    assert page.status_code == 200
    assert f'hreflang="{"en" if other == "en" else "zh-Hans"}"' in page.text
    assert page.text.index(f"/feeds/{name}.atom") < page.text.index(f"/feeds/{other}.atom"), "its own language first"
    entry = feedparser.parse(client.get(f"/feeds/{name}.atom").data).entries[0]
    assert entry.link.endswith(f"/{name}/releases/{posted['slug']}")


def test_a_page_is_not_there_before_its_release_is_public(
    client: FlaskClient, staff: dict[str, str], release_document: dict[str, Any], services: Services,
    clock: StoppedClock,
) -> None:
    slug = client.post("/v1/releases", json=release_document, headers=staff).json["slug"]
    for name in ("zh", "en"):
        early = client.get(f"/{name}/releases/{slug}")
        assert early.status_code == 404
        assert early.headers["Cache-Control"] == "no-store"
        assert slug not in client.get(f"/{name}/").text
    publish_due(services.storage, services.profile, clock)
    for name in ("zh", "en"):
        assert client.get(f"/{name}/releases/{slug}").status_code == 200
        assert slug in client.get(f"/{name}/").text


def test_a_page_is_answered_304(client: FlaskClient, posted: Any) -> None:
    path = f"/en/releases/{posted['slug']}"
    tag = client.get(path).headers["ETag"]
    assert client.get(path, headers={"If-None-Match": tag}).status_code == 304


def test_older_pages_are_reached_from_the_list(
    client: FlaskClient, staff: dict[str, str], release_document: dict[str, Any], services: Services,
    clock: StoppedClock,
) -> None:
    slugs = {client.post("/v1/releases", json=release_document, headers=staff).json["slug"] for _ in range(30)}
    publish_due(services.storage, services.profile, clock)
    seen: set[str] = set()
    path: str | None = "/en/"
    while path:
        page = client.get(path).text
        seen |= set(re.findall(r"/en/releases/([a-z0-9-]+)", page))
        older = re.search(r'href="([^"]*\?before=[^"]+)"', page)
        path = f"/en/{older[1]}" if older else None
    assert seen == slugs


def test_an_older_page_and_its_alternates_show_the_same_releases(
    client: FlaskClient, staff: dict[str, str], release_document: dict[str, Any], services: Services,
    clock: StoppedClock,
) -> None:
    for _ in range(30):
        client.post("/v1/releases", json=release_document, headers=staff)
    publish_due(services.storage, services.profile, clock)
    older = re.search(r'href="([^"]*\?before=[^"]+)"', client.get("/zh/").text)
    assert older
    page = client.get(f"/zh/{older[1]}").text
    addresses = dict(re.findall(r'<link rel="alternate" hreflang="([^"]+)" href="([^"]+)"', page))
    assert addresses.keys() == {"zh-Hans", "en", "x-default"}
    assert f'<link rel="canonical" href="{addresses["zh-Hans"]}">' in page
    shown = [
        re.findall(r"/releases/([a-z0-9-]+)", client.get(address.removeprefix(services.profile.base_url)).text)
        for address in addresses.values()
    ]
    assert len(shown[0]) == 5
    assert shown[0] == shown[1] == shown[2]


@pytest.mark.parametrize("text", [
    "yesterday", "-1", "1.5", "9" * 20, "２",
])
def test_an_instant_that_is_none_leads_nowhere(client: FlaskClient, text: str) -> None:
    assert client.get(f"/zh/?before={text}").status_code == 404


@pytest.mark.parametrize(("accepted", "where"), [
    ("zh-CN,zh;q=0.9,en;q=0.5", "/zh/"), ("en-GB", "/en/"), ("fr", "/zh/"), ("zh-Hans", "/zh/"), ("x;;,*", "/zh/"),
])
def test_the_root_leads_to_the_readers_language(client: FlaskClient, accepted: str, where: str) -> None:
    answer = client.get("/", headers={"Accept-Language": accepted})
    assert (answer.status_code, answer.headers["Location"]) == (302, where)
    assert "Accept-Language" in answer.headers["Vary"]


def test_pages_run_nothing(client: FlaskClient, posted: Any) -> None:
    policy = client.get(f"/zh/releases/{posted['slug']}").headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert "unsafe" not in policy


def test_the_type_of_a_problem_leads_to_its_explanation(client: FlaskClient) -> None:
    problem = client.get("/v1/releases").json
    path = problem["type"].removeprefix("http://127.0.0.1:8080")
    for language, words in (("en", "API key"), ("zh", "密钥")):
        page = client.get(path, headers={"Accept-Language": language})
        assert page.status_code == 200
        assert words in page.text


def test_health_tells_what_is_missing(client: FlaskClient, queue: Any, services: Services) -> None:
    from service.storage import heartbeats

    assert client.get("/healthz").json == {"status": "ok"}
    assert client.get("/readyz").json["checks"] == {"database": "ok", "worker": "silent", "broker": "ok"}
    with services.storage.write() as tx:
        heartbeats.keep_heartbeat(tx, "worker", services.clock())
    assert client.get("/readyz").status_code == 200
    queue.up = False
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json["checks"]["broker"]) == (503, "unreachable")
