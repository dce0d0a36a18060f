"""A release's media, from upload to reader: what is filled in, what is refused, and who sees the file when."""

from __future__ import annotations

import dataclasses
import io
import json
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from PIL import Image

from service import payloads
from service.clock import new_id
from service.edge import Services
from service.model import Event, EventType
from service.publishing import publish_due
from service.storage import media, releases
from tests.conftest import StoppedClock
from tests.media import SECRET, TAKEN, jpeg

Headers = dict[str, str]
Document = dict[str, Any]
UNKNOWN = "0192f0c0-0000-7000-8000-000000000000"
OFFICE = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


@pytest.fixture
def picture(client: FlaskClient, staff: Headers) -> Document:
    medium: Document = client.post("/v1/media", data=jpeg(gps=True), headers=staff).json
    return medium


def path_of(medium: Document) -> str:
    return medium["url"].removeprefix("http://127.0.0.1:8080")


def fetch(client: FlaskClient, path: str, headers: Headers | None = None) -> Any:
    """Read to the end, so that no file stays open."""
    return client.get(path, headers=headers, buffered=True)


def post(client: FlaskClient, staff: Headers, document: Document, *items: Document, **members: Any) -> Any:
    return client.post("/v1/releases", json={**document, "media": list(items), **members}, headers=staff)


def publish(services: Services, clock: StoppedClock) -> None:
    clock.advance(seconds=1)
    publish_due(services.storage, services.profile, clock)


def faults(answer: Any) -> dict[str, str]:
    assert answer.status_code == 422
    return {error["pointer"]: error["code"] for error in answer.json["errors"]}


def both(words: str) -> dict[str, str]:
    return {"zh-Hans": words, "en": words}


def test_what_is_known_of_an_upload_is_filled_in(
    client: FlaskClient, staff: Headers, release_document: Document, picture: Document
) -> None:
    item = {"media": picture["id"], "alt": both("红 red"), "credit": {"en": "Photo:  Gu"}}
    release = post(client, staff, release_document, item).json
    assert release["media"] == [{
        "id": picture["id"], "url": picture["url"], "type": "image/jpeg", "byte_length": picture["byte_length"],
        "width": 64, "height": 48, "title": {}, "alt": both("红 red"), "credit": {"en": "Photo: Gu"},
    }]
    assert release["warnings"] == []
    assert client.get(f"/v1/releases/{release['id']}", headers=staff).json == release


def test_an_upload_is_also_known_by_its_own_address(
    client: FlaskClient, staff: Headers, release_document: Document, picture: Document
) -> None:
    item = {"url": picture["url"], "type": "image/jpeg", "alt": both("x")}
    assert post(client, staff, release_document, item).json["media"][0]["id"] == picture["id"]


def test_what_contradicts_the_upload_is_refused_with_what_is_right(
    client: FlaskClient, staff: Headers, release_document: Document, picture: Document
) -> None:
    wrong = {"media": picture["id"], "type": "image/png", "byte_length": 5, "width": 48, "height": 48}
    answer = post(client, staff, release_document, wrong)
    assert faults(answer) == {f"/media/0/{member}": "contradicts_upload" for member in ("type", "byte_length", "width")}
    details = {error["pointer"]: error["detail"] for error in answer.json["errors"]}
    assert "image/jpeg" in details["/media/0/type"]
    assert str(picture["byte_length"]) in details["/media/0/byte_length"]
    right = {"media": picture["id"], "type": "image/jpeg", "width": 64.0}
    assert post(client, staff, release_document, right).status_code == 201


def test_what_the_bytes_don_t_tell_may_be_given(
    client: FlaskClient, staff: Headers, release_document: Document
) -> None:
    video = client.post("/v1/media", data=TAKEN["video/mp4"], headers=staff).json
    item = {"media": video["id"], "width": 1920, "height": 1080}
    [medium] = post(client, staff, release_document, item).json["media"]
    assert (medium["type"], medium["width"], medium["height"]) == ("video/mp4", 1920, 1080)


def test_every_fault_of_the_media_is_told_with_all_the_others(
    client: FlaskClient, staff: Headers, release_document: Document
) -> None:
    release_document["editions"]["en"]["headline"] = ""
    items = (
        {"media": UNKNOWN, "alt": {"fr": "Rouge"}},
        {"url": "http://127.0.0.1:8080/media/missing.jpg", "type": "image/jpeg"},
        {"url": "https://cdn.example/a.jpg"},
    )
    assert faults(post(client, staff, release_document, *items)) == {
        "/editions/en/headline": "empty",
        "/media/0/alt/fr": "unknown_language",
        "/media/0/media": "unknown_medium",
        "/media/1/url": "unknown_medium",
        "/media/2/type": "missing",
    }


@pytest.mark.parametrize("url", [
    "ftp://cdn.example/a.jpg", "//cdn.example/a.jpg", "/a.jpg", "https://a:b@cdn.example/a.jpg", "https://例.example/",
    "https://cdn.example/图.jpg", "https://cdn.example/a b", "https://cdn.example/%zz", "javascript:alert(1)",
    "https://cdn.example/a\n", "https:///a", "https://cdn.example:port/", "https://cdn.example/<x>", "http://\u0000",
])
def test_an_address_that_no_feed_could_carry_is_refused(
    client: FlaskClient, staff: Headers, release_document: Document, url: str
) -> None:
    answer = post(client, staff, release_document, {"url": url, "type": "image/jpeg"})
    assert faults(answer) == {"/media/0/url": "wrong_media_url"}


def test_a_file_elsewhere_is_taken_as_it_is_said_to_be(
    client: FlaskClient, staff: Headers, release_document: Document
) -> None:
    item = {"url": "https://cdn.example/a%20b.pdf?v=1#p=2", "type": "application/pdf", "byte_length": 7}
    [medium] = post(client, staff, release_document, item).json["media"]
    assert (medium["id"], medium["url"], medium["byte_length"]) == (None, item["url"], 7)


def test_an_image_without_words_is_warned_of_in_each_language(
    client: FlaskClient, staff: Headers, release_document: Document, picture: Document
) -> None:
    items = (
        {"media": picture["id"], "alt": {"en": "Red"}},
        {"url": "https://cdn.example/a.png", "type": "image/png"},
        {"url": "https://cdn.example/a.pdf", "type": "application/pdf"},
    )
    warnings = post(client, {**staff, "Accept-Language": "zh"}, release_document, *items).json["warnings"]
    assert [(warning["pointer"], warning["code"]) for warning in warnings] == [
        ("/media/0/alt/zh-Hans", "alt_missing"),
        ("/media/1/alt/zh-Hans", "alt_missing"),
        ("/media/1/alt/en", "alt_missing"),
    ]
    assert "简体中文" in warnings[0]["detail"]


def test_feeds_pages_and_pushes_carry_the_media(
    client: FlaskClient, staff: Headers, release_document: Document, picture: Document, services: Services,
    clock: StoppedClock,
) -> None:
    item = {"media": picture["id"], "alt": {"zh-Hans": "红", "en": "Red"}, "credit": {"zh-Hans": "摄影：顾"}}
    made = post(client, staff, release_document, item).json
    publish(services, clock)
    for name, alt in (("zh", "红"), ("en", "Red")):
        [entry] = client.get(f"/feeds/{name}.json").json["items"]
        assert entry["image"] == picture["url"]
        assert entry["attachments"][0]["_diglot"] == {"alt": alt, "credit": "摄影：顾", "width": 64, "height": 48}
        for format in ("atom", "rss"):
            assert picture["url"] in client.get(f"/feeds/{name}.{format}").text
        assert f'<img src="{path_of(picture)}" alt="{alt}"' in client.get(f"/{name}/releases/{made['slug']}").text
    with services.storage.read() as tx:
        release = releases.find_public_release(tx, made["slug"])
    assert release
    event = Event(id=new_id(), type=EventType.RELEASE_PUBLISHED, created_at=clock(), release_id=release.id, revision=1)
    [pushed] = json.loads(payloads.release_body(event, release, ["en"], services.profile))["data"]["release"]["media"]
    assert (pushed["url"], pushed["alt"], pushed["credit"]) == (picture["url"], {"en": "Red"}, {})


def test_a_file_is_nowhere_to_be_seen_before_a_release_that_shows_it_is_public(
    client: FlaskClient, staff: Headers, release_document: Document, picture: Document, services: Services,
    clock: StoppedClock,
) -> None:
    """Neither uploaded, nor in a draft, nor accepted: only public."""
    path = path_of(picture)

    def assert_hidden() -> None:
        answer = fetch(client, path, {"Accept-Language": "zh"})
        unknown = client.get("/media/" + "0" * 32 + ".jpg", headers={"Accept-Language": "zh"})
        assert (answer.status_code, answer.headers["Cache-Control"]) == (404, "no-store")
        assert (answer.data, dict(answer.headers)) == (unknown.data, dict(unknown.headers)), "not even that it is there"
        assert "没有这个文件" in answer.text
        assert fetch(client, path, {"Authorization": "Bearer wrong"}).status_code == 404

    assert_hidden()
    draft = post(client, staff, release_document, {"media": picture["id"]}, status="draft").json
    publish(services, clock)
    assert_hidden()
    client.post(f"/v1/releases/{draft['id']}/publish", headers=staff)
    assert_hidden()
    publish(services, clock)
    assert fetch(client, path).status_code == 200


def test_staff_see_it_before_and_nobody_keeps_that(
    client: FlaskClient, staff: Headers, admin: Headers, picture: Document
) -> None:
    for headers in (staff, admin):
        answer = fetch(client, path_of(picture), headers)
        assert (answer.status_code, answer.mimetype) == (200, "image/jpeg")
        assert answer.headers["Cache-Control"] == "no-store"


def test_the_file_of_a_public_release_is_served_for_ever_and_without_its_place(
    client: FlaskClient, staff: Headers, release_document: Document, picture: Document, services: Services,
    clock: StoppedClock,
) -> None:
    assert SECRET in jpeg(gps=True)
    post(client, staff, release_document, {"media": picture["id"]})
    publish(services, clock)
    answer = fetch(client, path_of(picture))
    assert SECRET not in answer.data and not Image.open(io.BytesIO(answer.data)).getexif()
    assert answer.content_type == "image/jpeg"
    assert int(answer.headers["Content-Length"]) == len(answer.data) == picture["byte_length"]
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"].startswith("sandbox;")
    assert answer.headers["Content-Disposition"].startswith("inline")
    tag = answer.headers["ETag"]
    assert not tag.startswith("W/")
    again = fetch(client, path_of(picture), {"If-None-Match": tag})
    assert (again.status_code, again.data) == (304, b"")
    assert "immutable" in again.headers["Cache-Control"]
    part = fetch(client, path_of(picture), {"Range": "bytes=2-9", "If-Range": tag})
    assert (part.status_code, part.data) == (206, answer.data[2:10])
    assert part.headers["Content-Range"] == f"bytes 2-9/{len(answer.data)}"
    beyond = fetch(client, path_of(picture), {"Range": "bytes=999999999-"})
    assert (beyond.status_code, beyond.mimetype) == (416, "application/problem+json")


@pytest.mark.parametrize(("media_type", "disposition", "policy"), [
    ("application/pdf", "inline", "frame-ancestors 'none'"),
    ("audio/mpeg", "inline", "sandbox; default-src 'none'"),
    (OFFICE, "attachment", "sandbox; default-src 'none'"),
])
def test_what_a_browser_can_t_show_is_offered_for_download(
    client: FlaskClient, staff: Headers, release_document: Document, services: Services, clock: StoppedClock,
    media_type: str, disposition: str, policy: str,
) -> None:
    name = "attachment; filename*=UTF-8''%E6%97%A5%E7%A8%8B"
    medium = client.post(
        "/v1/media", data=TAKEN[media_type], headers={**staff, "Content-Disposition": name}
    ).json
    post(client, staff, release_document, {"media": medium["id"]})
    publish(services, clock)
    answer = fetch(client, path_of(medium))
    assert answer.headers["Content-Disposition"].startswith(disposition)
    assert "filename*=UTF-8''%E6%97%A5%E7%A8%8B" in answer.headers["Content-Disposition"]
    assert answer.headers["Content-Security-Policy"].startswith(policy)


def test_a_picture_in_the_text_alone_is_public_with_it(
    client: FlaskClient, staff: Headers, release_document: Document, picture: Document, services: Services,
    clock: StoppedClock,
) -> None:
    edition = release_document["editions"]["en"]
    edition["body_html"] = f"<p>{edition.pop('body_text')}</p><p><img src='{path_of(picture)}' alt='Red'></p>"
    assert post(client, staff, release_document).status_code == 201
    assert fetch(client, path_of(picture)).status_code == 404
    publish(services, clock)
    assert fetch(client, path_of(picture)).status_code == 200


def withdraw(services: Services, release_id: str, clock: StoppedClock) -> None:
    with services.storage.write() as tx:
        change = sa.text("UPDATE releases SET withdrawn_at = :now WHERE slug = :slug")
        tx.execute(change, {"now": clock().replace(tzinfo=None), "slug": release_id})


def test_a_file_is_gone_with_the_last_release_that_shows_it(
    client: FlaskClient, staff: Headers, release_document: Document, picture: Document, services: Services,
    clock: StoppedClock,
) -> None:
    first, second = (post(client, staff, release_document, {"media": picture["id"]}).json for _ in range(2))
    publish(services, clock)
    withdraw(services, first["slug"], clock)
    assert fetch(client, path_of(picture)).status_code == 200
    withdraw(services, second["slug"], clock)
    answer = fetch(client, path_of(picture), {"Accept-Language": "zh"})
    assert (answer.status_code, answer.headers["Cache-Control"]) == (410, "no-store")
    assert "已撤回" in answer.text
    draft = post(client, staff, release_document, {"media": picture["id"]}, status="draft")
    assert draft.status_code == 201
    assert fetch(client, path_of(picture)).status_code == 410


def test_only_what_the_public_revision_shows_is_served(
    client: FlaskClient, staff: Headers, release_document: Document, picture: Document, services: Services,
    clock: StoppedClock,
) -> None:
    """A correction's new picture waits for the correction; the picture that it takes out goes with it."""
    new = client.post("/v1/media", data=jpeg("blue"), headers=staff).json
    slug = post(client, staff, release_document, {"media": picture["id"]}).json["slug"]
    publish(services, clock)
    with services.storage.write() as tx:
        public = releases.find_public_release(tx, slug)
        assert public
        [item] = public.media
        [blue] = [medium for medium in media.list_media(tx, limit=9) if str(medium.id) == new["id"]]
        corrected = dataclasses.replace(public, revision=2, media=(dataclasses.replace(item, media_id=blue.id),))
        media.link_media(tx, corrected)
    assert [fetch(client, path_of(medium)).status_code for medium in (picture, new)] == [200, 404]
    with services.storage.write() as tx:
        releases.make_public(tx, [corrected])
    assert [fetch(client, path_of(medium)).status_code for medium in (picture, new)] == [404, 200]


def test_a_file_that_the_disk_has_lost_is_our_fault_and_no_traceback(
    client: FlaskClient, staff: Headers, picture: Document, services: Services
) -> None:
    (services.settings.media_dir / path_of(picture).removeprefix("/media/")).unlink()
    answer = fetch(client, path_of(picture), staff)
    assert (answer.status_code, answer.json["code"]) == (500, "internal")
    assert "immutable" not in answer.headers.get("Cache-Control", "")


@pytest.mark.parametrize("name", [
    "..%2fdiglot.sqlite3", "%2e%2e/diglot.sqlite3", ".incoming-x", "a%00.jpg", "%ff", "x" * 3000,
])
def test_no_name_leads_out_of_the_folder(client: FlaskClient, staff: Headers, name: str) -> None:
    for headers in ({}, staff):
        assert fetch(client, f"/media/{name}", headers).status_code in (400, 404, 308)
