"""A release is looked at before it is public by whoever has its address, for a day, and by nobody else."""

from __future__ import annotations

import dataclasses
import logging
import re
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask.testing import FlaskClient

from service import keys, previews
from service.app import create_app
from service.config import Language
from service.edge import Services
from service.model import Role
from service.storage import Storage
from service.vault import Vault
from tests.api.desk import Desk, Document
from tests.conftest import SECRET_KEY, StoppedClock, bearer
from tests.media import TAKEN, jpeg
from tests.test_vault import make_key

BROWSER = {"Accept": "text/html,*/*;q=0.8"}
BOTH = pytest.mark.parametrize(("name", "tag"), [("zh", "zh-Hans"), ("en", "en")])


def look_at(desk: Desk, release: Document) -> Document:
    answer = desk.move(release, "previews")
    assert answer.status_code == 201, answer.text
    made: Document = answer.json
    return made


def path_of(url: str) -> str:
    return urlsplit(url).path


def read(client: FlaskClient, url: str, **headers: str) -> Any:
    return client.get(path_of(url), headers=BROWSER | {name.replace("_", "-"): text for name, text in headers.items()})


def main_of(page: str) -> str:
    [main] = re.findall(r"<main.*</main>", page, re.DOTALL)
    return str(main)


def banner_of(page: str) -> str:
    [banner] = re.findall(r'<aside class="preview".*</aside>', page, re.DOTALL)
    return str(banner)


@pytest.fixture
def illustrated(desk: Desk) -> Document:
    """Members of a release with a picture and a file in its list, and another picture and a link in its texts."""
    first, second, file = (
        desk.client.post("/v1/media", data=body, headers=desk.headers).json
        for body in (jpeg("red"), jpeg("blue"), TAKEN["application/pdf"])
    )
    document = desk.reworded()
    for edition in document["editions"].values():
        text = edition.pop("body_text")
        edition["body_html"] = f'<p>{text}</p><p><img src="{second["url"]}" alt="B"><a href="{file["url"]}">C</a></p>'
    return document | {"media": [{"media": first["id"], "alt": {"zh-Hans": "甲", "en": "A"}}, {"media": file["id"]}]}


def in_an_hour(clock: StoppedClock) -> Document:
    return {"publish_at": (clock() + timedelta(hours=1)).isoformat(timespec="seconds")}


def test_staff_get_an_address_for_each_language_and_it_is_on_record(desk: Desk, clock: StoppedClock) -> None:
    release = desk.post(status="draft")
    answer = desk.move(release, "previews")
    assert (answer.status_code, answer.headers["Cache-Control"]) == (201, "no-store")
    assert (answer.json["revision"], answer.json["expires_at"]) == (1, "2026-11-25T08:00:00.000Z")
    assert list(answer.json["urls"]) == ["zh-Hans", "en"]
    [entry, _] = desk.get(f"/v1/releases/{release['id']}/audit").json["items"]
    assert (entry["action"], entry["revision"], entry["actor"]) == ("previewed", 1, "desk")
    assert entry["details"] == {"expires_at": "2026-11-25T08:00:00.000Z"}


@BOTH
def test_a_scheduled_release_is_seen_as_its_readers_will_see_it(
    desk: Desk, illustrated: Document, clock: StoppedClock, swap: Any, name: str, tag: str
) -> None:
    """To the letter, its time among them; only what leads on leads to other previews, and to files by the token."""
    clock.now = clock().replace(microsecond=0)
    release = desk.post(**illustrated, **in_an_hour(clock))
    url = look_at(desk, release)["urls"][tag]
    shown = read(desk.client, url)
    assert shown.status_code == 200 and shown.text.count("?preview=") >= 4
    clock.advance(minutes=59, seconds=59)
    swap()
    public = desk.client.get(f"/{name}/releases/{release['slug']}")
    assert public.status_code == 200
    token = path_of(url).rsplit("/", 1)[1]
    plain = main_of(shown.text).replace(f"?preview={token}", "")
    assert plain.replace(f"/previews/{token}", f"/releases/{release['slug']}") == main_of(public.text)


@BOTH
def test_a_banner_says_that_it_is_no_publication_and_until_when(
    desk: Desk, clock: StoppedClock, name: str, tag: str
) -> None:
    urls = look_at(desk, desk.post(**in_an_hour(clock)))["urls"]
    page = read(desk.client, urls[tag]).text
    words, until = {
        "zh": ("修订版 1 的预览：内容没有公开。", "2026年11月25日 16:00（中国标准时间）"),
        "en": ("Preview of revision 1: this is not public.", "November 25, 2026, 16:00 (China Standard Time)"),
    }[name]
    assert words in banner_of(page) and until in banner_of(page)
    assert f'<html lang="{tag}"' in page and f"<title>{ {'zh': '预览', 'en': 'Preview'}[name]} – " in page
    [nav] = re.findall(r"<nav.*?</nav>", page, re.DOTALL)
    [other] = [url for known, url in urls.items() if known != tag]
    assert re.findall(r'href="([^"]+)"', nav) == [path_of(other)]


def test_no_search_engine_cache_or_other_site_is_told_of_it(desk: Desk) -> None:
    url = look_at(desk, desk.post(status="draft"))["urls"]["en"]
    for answer, status in ((read(desk.client, url), 200), (read(desk.client, url[:-9]), 404)):
        told = answer.headers
        assert answer.status_code == status
        assert (told["Cache-Control"], told["X-Robots-Tag"], told["Referrer-Policy"]) == (
            "no-store", "noindex", "no-referrer",
        )
        assert "ETag" not in told and '<meta name="robots" content="noindex">' in answer.text
        assert "canonical" not in answer.text and "hreflang=\"x-default\"" not in answer.text


def test_a_draft_shows_the_present_time_and_says_so(desk: Desk, clock: StoppedClock) -> None:
    url = look_at(desk, desk.post(status="draft"))["urls"]["en"]
    clock.advance(hours=2)
    page = read(desk.client, url).text
    assert '<time datetime="2026-11-24T10:00:00.123Z">' in main_of(page)
    assert "No time of publication is set yet" in banner_of(page)


def test_a_correction_is_seen_with_its_note_before_it_is_out(desk: Desk, swap: Any, clock: StoppedClock) -> None:
    """Of the edition that it leaves alone nothing is said to be new, as on its page afterwards."""
    release = desk.post()
    swap()
    clock.advance(hours=1)
    note = {"change_note": {"en": "The date was wrong."}, "siblings": "unaffected"}
    assert desk.put(release, desk.reworded("en", **note)).status_code == 200
    made, slug = look_at(desk, release), release["slug"]
    clock.advance(seconds=1)
    shown = {name: read(desk.client, made["urls"][tag]).text for name, tag in (("zh", "zh-Hans"), ("en", "en"))}
    assert made["revision"] == 2 and "The date was wrong." in shown["en"]
    assert "The date was wrong." not in desk.client.get(f"/en/releases/{slug}").text
    clock.advance(seconds=-1)
    swap()
    token = made["urls"]["en"].rsplit("/", 1)[1]
    for name, page in shown.items():
        public = main_of(desk.client.get(f"/{name}/releases/{slug}").text)
        assert main_of(page).replace(f"/previews/{token}", f"/releases/{slug}") == public
    assert "revision 2: this is public now." in banner_of(read(desk.client, made["urls"]["en"]).text)


def test_an_address_keeps_to_its_revision_and_tells_of_a_newer_one(desk: Desk) -> None:
    release = desk.post(status="draft")
    first = look_at(desk, release)
    desk.put(release, desk.reworded("zh-Hans"))
    second = look_at(desk, release)
    old, new = (read(desk.client, made["urls"]["zh-Hans"]).text for made in (first, second))
    headline = desk.document["editions"]["zh-Hans"]["headline"]
    assert (first["revision"], second["revision"]) == (1, 2)
    assert f"<h1>{headline}</h1>" in old and f"<h1>{headline} 2</h1>" in new
    assert "修订版 2" in banner_of(old) and "更新的修订版" not in banner_of(new)


def test_an_address_has_its_day_and_says_so_afterwards(desk: Desk, clock: StoppedClock) -> None:
    clock.now = clock().replace(microsecond=0)
    made = look_at(desk, desk.post(status="draft"))
    clock.advance(hours=23, minutes=59, seconds=59)
    assert read(desk.client, made["urls"]["en"]).status_code == 200
    clock.advance(seconds=1)
    for tag, words in (("zh-Hans", "这个预览已经结束"), ("en", "This preview has ended")):
        answer = read(desk.client, made["urls"][tag], Accept_Language="de")
        assert (answer.status_code, answer.headers["Content-Language"]) == (410, tag)
        assert words in answer.text and desk.document["editions"][tag]["headline"] not in answer.text
    program = desk.client.get(path_of(made["urls"]["en"]), headers={"Accept-Language": "zh"})
    assert (program.status_code, program.json["code"]) == (410, "preview_ended")


def test_nothing_but_a_whole_address_of_ours_opens_a_preview(desk: Desk, storage: Storage) -> None:
    hidden, other = desk.post(status="draft"), desk.post(status="draft")
    tokens = [path_of(look_at(desk, each)["urls"]["en"]).rsplit("/", 1)[1] for each in (hidden, other)]
    (said, proof), (_, foreign) = (token.rsplit(".", 1) for token in tokens)
    forged = [
        said, f"{said}.", f"{said}.{foreign}", f"{said}.{proof[:9]}{'A' if proof[9] != 'A' else 'B'}{proof[10:]}",
        f"{said[:9]}{'A' if said[9] != 'A' else 'B'}{said[10:]}.{proof}", tokens[0][1:], f"{tokens[0]}A", "é", "x",
        hidden["id"], storage.vault.seal(hidden["id"]),
        storage.vault.signer("another purpose").sign(storage.vault.signer("preview").unsign(tokens[0])).decode(),
        Vault([make_key()]).signer("preview").sign(storage.vault.signer("preview").unsign(tokens[0])).decode(),
    ]
    for name, words in (("zh", "没有这个预览"), ("en", "There is no such preview")):
        assert read(desk.client, f"/{name}/previews/{tokens[0]}").status_code == 200
        for token in forged:
            answer = read(desk.client, f"/{name}/previews/{token}")
            assert answer.status_code == 404 and words in answer.text, token
            assert not [edition for edition in desk.document["editions"].values() if edition["headline"] in answer.text]


def test_a_language_that_the_release_lacks_has_no_page(desk: Desk, services: Services) -> None:
    """As of releases that are older than a language of the newsroom."""
    url = look_at(desk, desk.post(status="draft"))["urls"]["en"]
    profile = services.profile
    more = dataclasses.replace(profile, languages=(*profile.languages, Language("fr", "fr", "Français")))
    web = create_app(dataclasses.replace(services, profile=more)).test_client()
    assert 'hreflang="fr"' not in read(web, url).text
    for name, words in (("fr", "This page does not exist"), ("de", "这个页面不存在")):
        answer = read(web, url.replace("/en/", f"/{name}/"), Accept_Language="zh")
        assert answer.status_code == 404 and words in answer.text


def test_withdrawn_it_is_shown_no_more_and_gets_no_new_address(
    desk: Desk, illustrated: Document, clock: StoppedClock
) -> None:
    release = desk.post(**illustrated)
    url = look_at(desk, release)["urls"]["en"]
    [file, *_] = re.findall(r'src="([^"]+preview[^"]+)"', read(desk.client, url).text)
    assert desk.client.get(file, buffered=True).status_code == 200
    desk.move(release, "withdraw", {"reason": {"en": "Wrong.", "zh-Hans": "有误。"}})
    answer = read(desk.client, url)
    assert answer.status_code == 410 and release["editions"]["en"]["headline"] not in answer.text
    assert desk.client.get(file, buffered=True).status_code == 404
    for language, words in (("zh", "已撤回的发布稿没有预览"), ("en", "A withdrawn release has no preview")):
        refused = desk.move(release, "previews", accept_language=language)
        assert (refused.status_code, refused.json["code"], refused.json["title"]) == (409, "nothing_to_preview", words)


def test_files_are_seen_by_the_page_that_shows_them_alone(
    desk: Desk, illustrated: Document, clock: StoppedClock
) -> None:
    release = desk.post(**illustrated, status="draft")
    pages = [read(desk.client, look_at(desk, each)["urls"]["en"]).text for each in (release, desk.post(status="draft"))]
    tokens = [next(iter(re.findall(r'/zh/previews/([^"]+)', page))) for page in pages]
    files = set(re.findall(r'(?:src|href)="(?:http://127.0.0.1:8080)?(/media/[^"?]+)', pages[0]))
    assert len(files) == 3
    for file in files:
        seen = desk.client.get(f"{file}?preview={tokens[0]}", buffered=True)
        assert (seen.status_code, seen.headers["Cache-Control"], seen.headers["Referrer-Policy"]) == (
            200, "no-store", "no-referrer",
        )
        for query in ("", "?preview=", f"?preview={tokens[1]}", f"?preview={tokens[0][:-9]}"):
            assert desk.client.get(f"{file}{query}", buffered=True).status_code == 404
    desk.put(release, desk.reworded("en", "zh-Hans"))
    newer = read(desk.client, look_at(desk, release)["urls"]["en"]).text
    token = next(iter(re.findall(r'/zh/previews/([^"]+)', newer)))
    assert {desk.client.get(f"{file}?preview={token}", buffered=True).status_code for file in files} == {404}
    clock.advance(days=1)
    assert {desk.client.get(f"{file}?preview={tokens[0]}", buffered=True).status_code for file in files} == {404}


def test_addresses_outlive_a_new_secret_key_until_the_old_one_is_dropped(desk: Desk, services: Services) -> None:
    url, new = look_at(desk, desk.post(status="draft"))["urls"]["en"], make_key()
    found = {}
    for held in ([SECRET_KEY], [new, SECRET_KEY], [new]):
        storage = Storage(services.storage.url, vault=Vault(held))
        web = create_app(dataclasses.replace(services, storage=storage)).test_client()
        found[len(held), held[0] == new] = read(web, url).status_code
        if len(held) == 2:
            signed = path_of(web.post(url_of(desk), headers=desk.headers).json["urls"]["en"]).rsplit("/", 1)[1]
            assert Vault([new]).signer("preview").unsign(signed)
        storage.close()
    assert found == {(1, False): 200, (2, True): 200, (1, True): 404}


def url_of(desk: Desk) -> str:
    return f"/v1/releases/{desk.get('/v1/releases').json['items'][0]['id']}/previews"


def test_none_but_staff_make_one_and_only_of_what_there_is(desk: Desk, storage: Storage, clock: StoppedClock) -> None:
    release = desk.post(status="draft")
    path = f"/v1/releases/{release['id']}/previews"
    partner = bearer(keys.make_key(storage, "daily", Role.PARTNER, clock(), "Daily")[1])
    assert [desk.client.post(path, headers=headers).status_code for headers in ({}, partner)] == [401, 403]
    for unknown in ("0192f0c0-0000-7000-8000-000000000000", "nonsense"):
        for language, words in (("zh", "没有编号为"), ("en", "There is no release")):
            answer = desk.ask("POST", f"/v1/releases/{unknown}/previews", accept_language=language)
            assert (answer.status_code, answer.json["code"]) == (404, "not_found") and words in answer.json["detail"]
    odd = desk.ask("POST", f"{path}?days=9", accept_language="zh")
    assert (odd.status_code, [error["pointer"] for error in odd.json["errors"]]) == (422, ["/days"])


@pytest.mark.parametrize("path", ["/en/previews/{}", "/unsubscribe/{}"])
def test_no_log_holds_what_opens_a_door(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    token = "WyJh0123456789"

    def fail(*_: object) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(previews, "open_preview", fail)
    monkeypatch.setattr("service.unsubscribing.find_by_token", fail)
    with caplog.at_level(logging.DEBUG):
        assert client.get(path.format(token)).status_code == 500
    assert path.format("…") in caplog.text and token not in caplog.text
