"""/v1/media: what is taken, what is refused, and that nothing is kept by halves."""

from __future__ import annotations

import io
import os
import resource
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from service import keys
from service.app import create_app
from service.config import read_settings
from service.edge import Services
from service.model import Role
from tests.conftest import StoppedClock, bearer
from tests.media import REFUSED, TAKEN, jpeg

Headers = dict[str, str]
UNKNOWN = "0192f0c0-0000-7000-8000-000000000000"


def upload(client: FlaskClient, staff: Headers, body: bytes, **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.post("/v1/media", data=body, headers={**staff, **named})


def kept(services: Services) -> list[Path]:
    """Every file in the folder, finished or not."""
    folder = services.settings.media_dir
    return sorted(folder.iterdir()) if folder.exists() else []


def test_a_picture_is_taken_and_told_back(client: FlaskClient, staff: Headers, services: Services) -> None:
    answer = upload(client, staff, jpeg(size=(64, 48)), Content_Disposition='attachment; filename="signing.jpg"')
    assert answer.status_code == 201
    medium = answer.json
    assert answer.headers["Location"] == f"http://127.0.0.1:8080/v1/media/{medium['id']}"
    assert (medium["type"], medium["width"], medium["height"], medium["name"]) == ("image/jpeg", 64, 48, "signing.jpg")
    [path] = kept(services)
    assert medium["url"] == f"http://127.0.0.1:8080/media/{path.name}"
    assert medium["byte_length"] == path.stat().st_size
    assert client.get(f"/v1/media/{medium['id']}", headers=staff).json == medium
    assert client.get("/v1/media", headers=staff).json == {"items": [medium], "next": None}


@pytest.mark.parametrize("media_type", TAKEN)
@pytest.mark.parametrize("claimed", ["text/html", "application/x-www-form-urlencoded", "application/octet-stream"])
def test_what_a_file_is_its_bytes_tell(client: FlaskClient, staff: Headers, media_type: str, claimed: str) -> None:
    answer = upload(client, staff, TAKEN[media_type], Content_Type=claimed)
    assert (answer.status_code, answer.json["type"]) == (201, media_type)
    assert (answer.json["width"] is None) is not media_type.startswith("image/")


@pytest.mark.parametrize("kind", REFUSED)
def test_what_could_run_or_hide_something_is_refused_whatever_it_calls_itself(
    client: FlaskClient, staff: Headers, services: Services, kind: str
) -> None:
    answer = upload(client, staff, REFUSED[kind], Content_Type="image/jpeg")
    assert (answer.status_code, answer.json["code"]) == (415, "unsupported_medium")
    for extension in ("jpg", "pdf", "docx"):
        assert extension in answer.json["detail"]
    assert kept(services) == []


def test_a_form_is_refused_with_what_would_be_right(client: FlaskClient, staff: Headers) -> None:
    answer = client.post("/v1/media", data={"file": (io.BytesIO(jpeg()), "a.jpg")}, headers=staff)
    assert (answer.status_code, answer.json["code"]) == (415, "wrong_media_type")
    assert "application/octet-stream" in answer.json["detail"]


@pytest.mark.parametrize(("body", "code"), [(b"", "no_file"), (jpeg()[:300], "broken_image")])
def test_an_empty_or_broken_file_is_refused(
    client: FlaskClient, staff: Headers, services: Services, body: bytes, code: str
) -> None:
    answer = upload(client, staff, body, Accept_Language="zh")
    assert answer.status_code == 422
    [error] = answer.json["errors"]
    assert error["code"] == code and "请" in error["detail"]
    assert kept(services) == []


def test_the_same_bytes_are_the_same_medium(client: FlaskClient, staff: Headers, services: Services) -> None:
    first = upload(client, staff, jpeg(), Content_Disposition="attachment; filename=a.jpg")
    again = upload(client, staff, jpeg(), Content_Disposition="attachment; filename=b.jpg")
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json == first.json
    assert upload(client, staff, jpeg("blue")).json["id"] != first.json["id"]
    assert len(kept(services)) == 2


def test_the_same_bytes_sent_at_once_are_one_medium(staff: Headers, services: Services) -> None:
    app = create_app(services)
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: upload(app.test_client(), staff, jpeg()), range(12)))
    assert {answer.status_code for answer in answers} <= {200, 201}
    assert len({answer.json["id"] for answer in answers}) == 1
    assert len(kept(services)) == 1


@pytest.mark.parametrize(("header", "name"), [
    ("attachment; filename*=UTF-8''%E7%AD%BE%E7%BA%A6.jpg", "签约.jpg"),
    ('attachment; filename="签字.jpg"'.encode().decode("latin-1"), "签字.jpg"),
    ('attachment; filename="café.jpg"', "café.jpg"),
    ('attachment; filename="../../etc/passwd"', "passwd"),
    ('attachment; filename="C:\\\\photos\\\\a.jpg"', "a.jpg"),
    ("attachment; filename*=UTF-8''a%0D%0Ab%00%E2%80%AE.jpg", "ab.jpg"),
    ('attachment; filename="' + "x" * 300 + '"', "x" * 200),
    ("attachment", None), ("nonsense;;=", None), ("attachment; filename=/", None),
])
def test_a_name_is_kept_without_its_folders_and_control_characters(
    client: FlaskClient, staff: Headers, header: str, name: str | None
) -> None:
    assert upload(client, staff, jpeg(), Content_Disposition=header).json["name"] == name


@pytest.fixture
def small(services: Services, tmp_path: Path, database_url: str) -> Services:
    """A newsroom that takes no file over 100000 bytes and no document over 1000."""
    settings = read_settings({
        "DIGLOT_DATA_DIR": str(tmp_path), "DIGLOT_DATABASE_URL": database_url,
        "DIGLOT_MAX_MEDIA_BYTES": "100000", "DIGLOT_MAX_BODY_BYTES": "1000",
    })
    return Services(settings, services.profile, services.storage, services.queue, services.clock)


@pytest.mark.parametrize("told", [True, False], ids=["length told", "chunked"])
def test_a_file_has_a_limit_of_its_own(staff: Headers, small: Services, told: bool) -> None:
    client = create_app(small).test_client()
    pdf = TAKEN["application/pdf"]

    def send(body: bytes) -> Any:
        if told:
            return upload(client, staff, body)
        chunked = {"wsgi.input_terminated": True}
        return client.post("/v1/media", input_stream=io.BytesIO(body), environ_overrides=chunked, headers=staff)

    # Of a stream without a length Werkzeug takes a byte less.
    assert send(pdf + b" " * (99_999 - len(pdf))).status_code == 201
    answer = send(pdf + b" " * (100_001 - len(pdf)))
    assert (answer.status_code, answer.json["code"]) == (413, "too_large")
    assert "100000" in answer.json["detail"]
    assert len(kept(small)) == 1
    assert client.post("/v1/releases", json={"editions": "x" * 1000}, headers=staff).status_code == 413


@pytest.fixture
def no_file_over() -> Iterator[Any]:
    """Lets no file of this process grow beyond a size, which the system refuses as it does on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_keeps_no_half_file(
    client: FlaskClient, staff: Headers, services: Services, no_file_over: Any
) -> None:
    body = TAKEN["application/pdf"] + b" " * 8_000_000
    no_file_over(5_000_000)
    answer = upload(client, staff, body)
    assert (answer.status_code, answer.json["code"]) == (503, "storage_unavailable")
    assert int(answer.headers["Retry-After"]) > 0
    assert kept(services) == []
    assert client.get("/v1/media", headers=staff).json["items"] == []


def test_what_a_dead_process_left_is_cleared_away(
    client: FlaskClient, staff: Headers, services: Services
) -> None:
    folder = services.settings.media_dir
    folder.mkdir()
    old, young = folder / ".incoming-old", folder / ".incoming-young"
    for path in (old, young):
        path.touch()
    os.utime(old, (0, time.time() - 25 * 3600))
    upload(client, staff, jpeg())
    assert not old.exists() and young.exists()


def test_the_list_is_paged_newest_first(client: FlaskClient, staff: Headers) -> None:
    made = [upload(client, staff, jpeg(size=(n + 1, 9))).json["id"] for n in range(3)]
    first = client.get("/v1/media?limit=2", headers=staff).json
    second = client.get(first["next"], headers=staff).json
    assert [medium["id"] for medium in first["items"] + second["items"]] == made[::-1]
    assert second["next"] is None


@pytest.mark.parametrize("path", [f"/v1/media/{UNKNOWN}", "/v1/media/nonsense"])
def test_an_unknown_medium_is_not_found(client: FlaskClient, staff: Headers, path: str) -> None:
    answer = client.get(path, headers={**staff, "Accept-Language": "zh"})
    assert (answer.status_code, answer.json["code"]) == (404, "not_found")
    assert "媒体文件" in answer.json["detail"]


def test_a_partner_can_neither_upload_nor_look(client: FlaskClient, services: Services, clock: StoppedClock) -> None:
    partner = bearer(keys.make_key(services.storage, "daily", Role.PARTNER, clock(), "Daily")[1])
    assert upload(client, partner, jpeg()).status_code == 403
    assert client.get("/v1/media", headers=partner).status_code == 403
    assert kept(services) == []
