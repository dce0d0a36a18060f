"""/v1/releases: what is taken, what is refused, and in which words."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from flask.testing import FlaskClient

from service.api.decoding import MOST_LIMIT
from service.edge import Services
from service.publishing import publish_due
from tests.conftest import RecordingQueue, StoppedClock

Headers = dict[str, str]
Document = dict[str, Any]


def publish(services: Services, clock: StoppedClock) -> None:
    clock.advance(seconds=1)
    publish_due(services.storage, services.profile, clock)


def test_a_release_is_accepted_and_nudged(
    client: FlaskClient, staff: Headers, release_document: Document, queue: RecordingQueue
) -> None:
    answer = client.post("/v1/releases", json=release_document, headers=staff)
    assert answer.status_code == 201
    release = answer.json
    assert answer.headers["Location"].endswith(f"/v1/releases/{release['id']}")
    assert (release["revision"], release["state"], release["published_at"]) == (1, "published", None)
    assert release["editions"]["zh-Hans"]["url"].endswith(f"/zh/releases/{release['slug']}")
    assert queue.nudges == ["publish"]
    assert client.get(f"/v1/releases/{release['id']}", headers=staff).json == release


def test_the_seed_is_accepted_to_the_letter(client: FlaskClient, staff: Headers, release_document: Document) -> None:
    """Half-width commas, curly quotes and full-width spaces are the writer's, not ours."""
    body = "　　近日,和会长一行“调研”。\n\n第二段，A&B <x>。"
    release_document["editions"]["zh-Hans"]["body_text"] = body
    release = client.post("/v1/releases", json=release_document, headers=staff).json
    assert release["editions"]["zh-Hans"]["body_text"] == body


def test_a_draft_is_published_once(
    client: FlaskClient, staff: Headers, release_document: Document, queue: RecordingQueue
) -> None:
    draft = client.post("/v1/releases", json={**release_document, "status": "draft"}, headers=staff).json
    assert draft["state"] == "draft"
    assert queue.nudges == []
    assert client.post(f"/v1/releases/{draft['id']}/publish", headers=staff).json["state"] == "published"
    assert queue.nudges == ["publish"]
    again = client.post(f"/v1/releases/{draft['id']}/publish", headers=staff)
    assert (again.status_code, again.json["code"]) == (409, "illegal_move")


@pytest.mark.parametrize(("language", "words"), [("en", "edition"), ("zh-CN,zh;q=0.9", "版本")])
def test_faults_are_told_in_the_callers_language(
    client: FlaskClient, staff: Headers, release_document: Document, language: str, words: str
) -> None:
    del release_document["editions"]["en"]
    answer = client.post("/v1/releases", json=release_document, headers={**staff, "Accept-Language": language})
    assert answer.status_code == 422
    assert answer.mimetype == "application/problem+json"
    [error] = answer.json["errors"]
    assert (error["pointer"], error["code"]) == ("/editions/en", "missing_edition")
    assert words in error["detail"].lower()
    assert answer.headers["Content-Language"] == language[:2]


def test_a_refused_release_changes_nothing(
    client: FlaskClient, staff: Headers, release_document: Document, queue: RecordingQueue
) -> None:
    release_document["editions"]["en"]["headline"] = ""
    client.post("/v1/releases", json=release_document, headers={**staff, "Idempotency-Key": "k"})
    assert client.get("/v1/releases", headers=staff).json["items"] == []
    assert queue.nudges == []
    release_document["editions"]["en"]["headline"] = "Better"
    again = client.post("/v1/releases", json=release_document, headers={**staff, "Idempotency-Key": "k"})
    assert again.status_code == 201, "a refused request uses no key up"


@pytest.mark.parametrize(("body", "code", "detail"), [
    (b'{"editions": {', "malformed_json", "1"),
    (b'{"a": 1,\n "a": 2}', "repeated_name", "twice"),
    (b'{"a": NaN}', "malformed_json", "NaN"),
    (b"[" * 100_000, "too_deep", "32"),
    ('{"editions": "中"}'.encode("gb18030"), "wrong_encoding", "14"),
    (b"", "malformed_json", "1"),
])
def test_what_is_no_json_is_refused_with_its_place(
    client: FlaskClient, staff: Headers, body: bytes, code: str, detail: str
) -> None:
    answer = client.post("/v1/releases", data=body, content_type="application/json", headers=staff)
    assert (answer.status_code, answer.json["code"]) == (400, code)
    assert detail in answer.json["detail"]


def test_another_media_type_is_refused(client: FlaskClient, staff: Headers) -> None:
    answer = client.post("/v1/releases", data="a=b", content_type="text/plain", headers=staff)
    assert (answer.status_code, answer.json["code"]) == (415, "wrong_media_type")


def test_a_body_over_the_limit_is_refused(client: FlaskClient, staff: Headers, services: Services) -> None:
    body = b'"' + b"x" * services.settings.max_body_bytes + b'"'
    answer = client.post("/v1/releases", data=body, content_type="application/json", headers=staff)
    assert (answer.status_code, answer.json["code"]) == (413, "too_large")
    assert "1" in answer.json["detail"]


def test_the_same_key_and_body_answer_the_same_release(
    client: FlaskClient, staff: Headers, release_document: Document
) -> None:
    headers = {**staff, "Idempotency-Key": "6e1f"}
    first = client.post("/v1/releases", json=release_document, headers=headers)
    second = client.post("/v1/releases", json=release_document, headers=headers)
    assert (second.status_code, second.json) == (first.status_code, first.json)
    assert len(client.get("/v1/releases", headers=staff).json["items"]) == 1


def test_the_same_key_with_another_body_is_refused(
    client: FlaskClient, staff: Headers, admin: Headers, release_document: Document
) -> None:
    client.post("/v1/releases", json=release_document, headers={**staff, "Idempotency-Key": "k"})
    other = copy.deepcopy(release_document)
    other["editions"]["en"]["headline"] = "Another headline"
    answer = client.post("/v1/releases", json=other, headers={**staff, "Idempotency-Key": "k"})
    assert (answer.status_code, answer.json["code"]) == (422, "idempotency_key_reused")
    answer = client.post("/v1/releases", json=other, headers={**admin, "Idempotency-Key": "k"})
    assert answer.status_code == 201, "another caller's keys are its own"


def test_a_given_slug_is_kept_or_refused(client: FlaskClient, staff: Headers, release_document: Document) -> None:
    release_document["slug"] = "accord"
    assert client.post("/v1/releases", json=release_document, headers=staff).json["slug"] == "accord"
    answer = client.post("/v1/releases", json=release_document, headers=staff)
    assert answer.status_code == 422
    assert [(error["pointer"], error["code"]) for error in answer.json["errors"]] == [("/slug", "slug_taken")]


def test_made_slugs_never_collide(client: FlaskClient, staff: Headers, release_document: Document) -> None:
    slugs = [client.post("/v1/releases", json=release_document, headers=staff).json["slug"] for _ in range(3)]
    assert len(set(slugs)) == 3
    assert all(slug.startswith("lakeside-vocational-institute") for slug in slugs)


def test_a_newsroom_without_latin_letters_has_slugs(
    client: FlaskClient, staff: Headers, release_document: Document
) -> None:
    release_document["editions"]["zh-Hans"]["headline"] = "重庆两校签约"
    release_document["editions"]["en"]["headline"] = "2026"
    slug = client.post("/v1/releases", json=release_document, headers=staff).json["slug"]
    assert slug == "chong-qing-liang-xiao-qian-yue"


def test_a_suggestion_stays_with_its_warning(
    client: FlaskClient, staff: Headers, release_document: Document
) -> None:
    """What storage gives back is what was found, in the language of whoever asks."""
    release_document["editions"]["zh-Hans"]["headline"] = "到访,座谈"
    posted = client.post("/v1/releases", json=release_document, headers={**staff, "Accept-Language": "zh"}).json
    assert posted["editions"]["zh-Hans"]["headline"] == "到访,座谈"
    [warning] = posted["warnings"]
    assert (warning["pointer"], warning["suggestion"]) == ("/editions/zh-Hans/headline", "到访，座谈")
    assert "半角标点" in warning["detail"]
    read = client.get(f"/v1/releases/{posted['id']}", headers=staff).json["warnings"][0]
    assert (read["suggestion"], "Half-width" in read["detail"]) == ("到访，座谈", True)


def test_the_length_is_told_as_each_language_counts(
    client: FlaskClient, staff: Headers, release_document: Document
) -> None:
    for tag, body in {"zh-Hans": "双方座谈。\n\n“好”👨‍👩‍👧", "en": "Both sides met – e\u0301 2026."}.items():
        release_document["editions"][tag]["body_text"] = body
    editions = client.post("/v1/releases", json=release_document, headers=staff).json["editions"]
    assert editions["zh-Hans"]["length"] == {"characters": 9, "words": None}
    assert editions["en"]["length"] == {"characters": 19, "words": 5}


def test_the_list_is_paged_newest_first(client: FlaskClient, staff: Headers, release_document: Document) -> None:
    made = [client.post("/v1/releases", json=release_document, headers=staff).json["id"] for _ in range(5)]
    seen, url = [], "/v1/releases?limit=2"
    while url:
        answer = client.get(url, headers=staff)
        seen += [release["id"] for release in answer.json["items"]]
        url = answer.json["next"]
        assert ("Link" in answer.headers) is bool(url)
        if url:
            assert answer.headers["Link"] == f'<{url}>; rel="next"'
    assert seen == made[::-1]


def test_the_list_is_narrowed(client: FlaskClient, staff: Headers, release_document: Document) -> None:
    first = client.post("/v1/releases", json={**release_document, "status": "draft"}, headers=staff).json["id"]
    release_document["editions"]["zh-Hans"]["body_text"] += "\n\n另有100%独特的一段。"
    second = client.post("/v1/releases", json=release_document, headers=staff).json["id"]

    def ids(query: str) -> list[str]:
        return [release["id"] for release in client.get(f"/v1/releases?{query}", headers=staff).json["items"]]

    assert ids("state=draft") == [first]
    assert ids("state=published") == [second]
    assert ids("q=独特") == [second]
    assert ids("q=100%25独") == [second]
    assert ids("q=%25") == [second], "a percent sign is itself, no wildcard"
    assert ids("q=LAKESIDE") == [second, first]
    assert ids("q=独特&language=en") == []


@pytest.mark.parametrize(("query", "pointer"), [
    ("limit=0", "/limit"), (f"limit={MOST_LIMIT + 1}", "/limit"), ("limit=x", "/limit"), ("limit=00010000", "/limit"),
    ("cursor=nonsense", "/cursor"), ("state=lost", "/state"),
])
def test_a_wrong_query_is_refused(client: FlaskClient, staff: Headers, query: str, pointer: str) -> None:
    answer = client.get(f"/v1/releases?{query}", headers=staff)
    assert answer.status_code == 422
    assert answer.json["errors"][0]["pointer"] == pointer


def test_all_that_is_wrong_with_a_query_is_told_at_once(client: FlaskClient, staff: Headers) -> None:
    answer = client.get("/v1/releases?limit=0&cursor=nonsense&state=lost&language=xx&q=a%01", headers=staff)
    assert {error["pointer"] for error in answer.json["errors"]} == {"/limit", "/cursor", "/state", "/language", "/q"}
    assert "kept" not in answer.json["detail"], "nobody asked to keep anything"


@pytest.mark.parametrize("path", [
    "/v1/releases?q=%00", "/v1/releases?language=a&language=%00", "/zh/releases/a%00b", "/feeds/%00.atom",
])
def test_a_character_that_no_database_takes_is_refused(client: FlaskClient, staff: Headers, path: str) -> None:
    answer = client.get(path, headers=staff)
    assert (answer.status_code, answer.json["code"]) == (400, "malformed_request")


@pytest.mark.parametrize("path", ["/v1/releases/nonsense", "/v1/releases/0192f0c0-0000-7000-8000-000000000000"])
def test_an_unknown_release_is_not_found(client: FlaskClient, staff: Headers, path: str) -> None:
    answer = client.get(path, headers=staff)
    assert (answer.status_code, answer.json["code"]) == (404, "not_found")


def test_a_full_disk_keeps_no_half_release(
    client: FlaskClient, staff: Headers, release_document: Document, services: Services
) -> None:
    """SQLite says that the disk is full when its page limit is reached: the same error, made at will."""
    if services.storage.engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL has no limit that a test could set")
    engine = services.storage.engine
    with engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
    engine.dispose()
    from sqlalchemy import event

    event.listen(engine, "connect", lambda raw, _: raw.execute(f"PRAGMA max_page_count={pages}"))
    release_document["editions"]["en"]["body_text"] *= 40
    answer = client.post("/v1/releases", json=release_document, headers=staff)
    assert (answer.status_code, answer.json["code"]) == (503, "storage_unavailable")
    assert int(answer.headers["Retry-After"]) > 0
    assert client.get("/v1/releases", headers=staff).json["items"] == []


def test_a_locked_database_answers_503(
    services: Services, client: FlaskClient, staff: Headers, release_document: Document
) -> None:
    if services.storage.engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL locks rows, not the database")
    with services.storage.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA busy_timeout=50")
    impatient = type(services.storage)(services.storage.url, busy_seconds=0.05)
    client.application.extensions["diglot"] = type(services)(
        settings=services.settings, profile=services.profile, storage=impatient,
        queue=services.queue, clock=services.clock,
    )
    with services.storage.write():
        answer = client.post("/v1/releases", json=release_document, headers=staff)
    assert (answer.status_code, answer.json["code"]) == (503, "storage_unavailable")
    assert client.post("/v1/releases", json=release_document, headers=staff).status_code == 201
    impatient.close()


def test_a_crash_shows_no_traceback(
    client: FlaskClient, staff: Headers, release_document: Document, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.api.releases.validate_release", lambda *_: 1 / 0)
    answer = client.post("/v1/releases", json=release_document, headers=staff)
    assert (answer.status_code, answer.json["code"]) == (500, "internal")
    assert "Zero" not in answer.text


def test_deliveries_of_a_release_are_listed(client: FlaskClient, staff: Headers, release_document: Document) -> None:
    release = client.post("/v1/releases", json=release_document, headers=staff).json
    assert client.get(f"/v1/releases/{release['id']}/deliveries", headers=staff).json == {"items": [], "next": None}




@pytest.mark.parametrize("path", ["/v1/releases", "/v1/subscriptions", "/v1/keys"])
@pytest.mark.parametrize("depth", [200, 300, 900, 3000])
def test_deep_nesting_is_refused_in_words(client: FlaskClient, admin: Headers, path: str, depth: int) -> None:
    body = '{"editions":' + "[" * depth + "]" * depth + "}"
    answer = client.post(path, data=body, content_type="application/json", headers={**admin, "Accept-Language": "zh"})
    assert (answer.status_code, answer.json["code"]) == (400, "too_deep")
    assert "32 层" in answer.json["detail"]
