"""What the web server itself answers, over a real connection, to bad input and on a bad day."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from service.storage.tables import metadata
from tests.conftest import lend_database
from tests.faults.processes import Service, run_service, wait_until
from tests.services.postgres import Postgres

pytestmark = [pytest.mark.fault, pytest.mark.timeout(240)]

Answer = tuple[int, dict[str, str], bytes]
KEPT_BY_A_RELEASE = ("releases", "revisions", "editions", "events", "idempotency_keys")


def start_web(service: Service, **options: Any) -> None:
    service.start("web", **options)
    wait_until(lambda: service.get("/healthz")[0] == 200, "the API answers", service.read_logs)


@pytest.fixture(scope="module")
def web(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """For what never comes to the database, one service for all tests."""
    folder = tmp_path_factory.mktemp("web")
    with lend_database(request, "sqlite", folder / "diglot.sqlite3") as url, run_service(folder, url) as service:
        start_web(service)
        yield service


@pytest.fixture
def service(tmp_path: Path, database_url: str) -> Iterator[Service]:
    with run_service(tmp_path, database_url) as service:
        yield service


def ask(
    service: Service, method: str, path: str, body: bytes | Iterable[bytes] | None = None, **headers: str
) -> Answer:
    """A body in pieces goes out chunked, without Content-Length."""
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=30)
    sent = service.headers | {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        connection.request(method, path, body, sent)
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def problem(answer: Answer) -> tuple[int, str]:
    status, headers, body = answer
    assert headers["content-type"] == "application/problem+json", answer
    document = json.loads(body)
    assert document["status"] == status
    return status, document["code"]


def post_release(service: Service, document: Any) -> Answer:
    return ask(service, "POST", "/v1/releases", json.dumps(document).encode(), Idempotency_Key="k")


def count_kept(service: Service) -> dict[str, int]:
    with service.storage.read() as tx:
        return {
            name: tx.execute(sa.select(sa.func.count()).select_from(metadata.tables[name])).scalar_one()
            for name in KEPT_BY_A_RELEASE
        }


def assert_refused_for_now(answer: Answer) -> None:
    assert problem(answer) == (503, "storage_unavailable")
    assert int(answer[1]["retry-after"]) > 0


def test_a_declared_length_over_the_limit_is_refused_before_the_body_comes(web: Service) -> None:
    length = str(web.settings.max_body_bytes + 1)
    assert problem(ask(web, "POST", "/v1/releases", Content_Length=length)) == (413, "too_large")


def test_a_chunked_body_over_the_limit_is_refused(web: Service) -> None:
    """It has no length to be judged by, and what is cut off must not decide what it means."""
    whole = b"{}" + b" " * (web.settings.max_body_bytes - 1)
    pieces = (whole[start:start + 65_536] for start in range(0, len(whole), 65_536))
    assert problem(ask(web, "POST", "/v1/releases", pieces)) == (413, "too_large")


def test_a_chunked_body_within_the_limit_is_read(web: Service, release_document: dict[str, Any]) -> None:
    whole = json.dumps(release_document).encode()
    assert ask(web, "POST", "/v1/releases", iter([whole[:100], whole[100:]]))[0] == 201


def test_a_body_as_long_as_the_limit_is_read(web: Service) -> None:
    body = b"{}" + b" " * (web.settings.max_body_bytes - 2)
    assert problem(ask(web, "POST", "/v1/releases", body)) == (422, "invalid")


@pytest.mark.parametrize(("body", "media_type", "status", "code", "place"), [
    (b"headline=x", "application/x-www-form-urlencoded", 415, "wrong_media_type", "application/json"),
    (b"{}", "text/plain", 415, "wrong_media_type", "application/json"),
    (b'{"slug": "a",\n "editions" {}}', "application/json", 400, "malformed_json", "line 2, column 13"),
    (b"", "application/json", 400, "malformed_json", "line 1, column 1"),
    ('{"slug": "中文"}'.encode("gb18030"), "application/json", 400, "wrong_encoding", "byte 10"),
    ('{"slug": "中文"}'.encode("utf-16"), "application/json", 400, "wrong_encoding", "byte 0"),
])
def test_what_can_not_be_read_is_refused_with_its_place(
    web: Service, body: bytes, media_type: str, status: int, code: str, place: str
) -> None:
    answer = ask(web, "POST", "/v1/releases", body, Content_Type=media_type)
    assert problem(answer) == (status, code)
    assert place in json.loads(answer[2])["detail"]


@pytest.mark.parametrize("path", ["/feeds/zh.atom", "/zh/", "/v1/releases", "/v1/releases/none", "/static/diglot.css"])
def test_head_answers_what_get_does_without_its_body(web: Service, path: str) -> None:
    got, asked = ask(web, "GET", path), ask(web, "HEAD", path)
    assert (asked[0], asked[2]) == (got[0], b"")
    assert asked[1] | {"date": ""} == got[1] | {"date": ""}
    assert int(asked[1]["content-length"]) == len(got[2]) > 0


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_full_disk_keeps_no_half_release(service: Service, release_document: dict[str, Any]) -> None:
    """And when there is room again, the same request is taken."""
    release_document["editions"]["en"]["body_text"] *= 200
    start_web(service, largest_file=65_536)
    assert_refused_for_now(post_release(service, release_document))
    assert set(count_kept(service).values()) == {0}
    assert service.get("/feeds/zh.atom")[0] == 200, "readers are served from a full disk"
    service.kill("web")
    start_web(service)
    assert post_release(service, release_document)[0] == 201
    assert 0 not in count_kept(service).values()


@pytest.fixture
def trouble(request: pytest.FixtureRequest, service: Service) -> dict[str, Callable[[], AbstractContextManager[None]]]:
    """What may keep the database from us, by name."""

    @contextmanager
    def locked() -> Iterator[None]:
        with service.storage.write() as tx:
            if tx.dialect.name == "postgresql":
                tx.execute(sa.text("LOCK TABLE releases IN ACCESS EXCLUSIVE MODE"))
            yield

    @contextmanager
    def away() -> Iterator[None]:
        server: Postgres = request.getfixturevalue("postgres")
        with server.closed(service.storage.url):
            yield

    return {"locked": locked, "away": away}


@pytest.mark.parametrize(
    ("database_url", "name"), [("sqlite", "locked"), ("postgresql", "locked"), ("postgresql", "away")],
    indirect=["database_url"],
)
def test_a_database_that_does_not_serve_us_is_a_503_and_then_the_release_is_taken(
    service: Service, trouble: dict[str, Callable[[], AbstractContextManager[None]]],
    release_document: dict[str, Any], name: str,
) -> None:
    start_web(service)
    with trouble[name]():
        assert_refused_for_now(post_release(service, release_document))
    assert set(count_kept(service).values()) == {0}
    assert post_release(service, release_document)[0] == 201
