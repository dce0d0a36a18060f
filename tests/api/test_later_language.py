"""Languages that a newsroom takes up later: what was there stays as it is, and may be given an edition in them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from lxml import etree

from service import subscriptions
from service.app import create_app
from service.config import Language
from service.deliveries import plan_due
from service.edge import Services
from service.feeds import ARCHIVE_ENTRIES
from service.publishing import publish_due
from service.storage import deliveries
from tests.conftest import StoppedClock

LATER = (Language("fr", "fr", "Français"), Language("zh-Hant", "tw", "繁體中文"))
EDITIONS = {
    "fr": {"headline": "Deux écoles signent un accord", "body_text": "Deux écoles ont signé un accord hier."},
    "zh-Hant": {"headline": "兩校簽署合作協議", "body_text": "兩校昨日簽署合作協議。"},
}
ATOM = "{http://www.w3.org/2005/Atom}"
SCHEMA = etree.RelaxNG(etree.parse(Path(__file__).parents[1] / "formats/atom.rng"))
BOTH = pytest.mark.parametrize("language", LATER, ids=lambda language: language.tag)


@dataclasses.dataclass
class Room:
    client: FlaskClient
    services: Services
    staff: dict[str, str]
    document: dict[str, Any]
    old: list[dict[str, Any]]
    swap: Callable[[], None]

    def items(self, name: str) -> list[Any]:
        return json.loads(self.client.get(f"/feeds/{name}.json").data)["items"]

    def put(self, number: int, **editions: Any) -> Any:
        path = f"/v1/releases/{self.old[number]['id']}"
        headers = {**self.staff, "If-Match": self.client.get(path, headers=self.staff).headers["ETag"]}
        return self.client.put(path, json={**self.document, "editions": editions}, headers=headers)

    def add(self, number: int, language: Language) -> Any:
        answer = self.put(number, **self.document["editions"], **{language.tag: EDITIONS[language.tag]})
        self.swap()
        return answer


@pytest.fixture
def room(
    services: Services, client: FlaskClient, staff: dict[str, str], release_document: dict[str, Any],
    clock: StoppedClock,
) -> Room:
    """One full archive of releases in two languages; then the service is started anew with two more."""
    document = {**release_document, "categories": ["visits"]}
    old = [client.post("/v1/releases", json=document, headers=staff).json for _ in range(ARCHIVE_ENTRIES + 2)]
    publish_due(services.storage, services.profile, clock)
    profile = dataclasses.replace(services.profile, languages=(*services.profile.languages, *LATER))
    later = dataclasses.replace(services, profile=profile)

    def swap() -> None:
        clock.advance(seconds=1)
        publish_due(later.storage, profile, clock)
        plan_due(later.storage, profile, clock)

    swap()
    return Room(create_app(later).test_client(), later, staff, document, old, swap)


def test_old_releases_stay_what_they_were(room: Room) -> None:
    for release in room.old:
        seen = room.client.get(f"/v1/releases/{release['id']}", headers=room.staff).json
        assert (seen["revision"], set(seen["editions"])) == (1, {"zh-Hans", "en"})
        assert room.client.get(f"/en/releases/{release['slug']}").status_code == 200
        assert room.client.get(f"/fr/releases/{release['slug']}").status_code == 404
    assert len(room.items("en")) == room.services.profile.feed_entries


@BOTH
@pytest.mark.parametrize("name", ["{}", "{}/visits", "{}/archive/1", "{}/visits/archive/1"])
def test_its_feeds_are_there_valid_and_empty(room: Room, language: Language, name: str) -> None:
    name = name.format(language.url_name)
    atom = etree.fromstring(room.client.get(f"/feeds/{name}.atom").data)
    assert SCHEMA.validate(atom), SCHEMA.error_log
    assert atom.get("{http://www.w3.org/XML/1998/namespace}lang") == language.tag
    assert atom.find(f"{ATOM}entry") is None and room.items(name) == []
    if "archive" not in name:
        rss = etree.fromstring(room.client.get(f"/feeds/{name}.rss").data)
        assert (rss.findtext("channel/language"), rss.find("channel/item")) == (language.tag, None)


@BOTH
def test_its_pages_and_lists_are_there_and_the_others_lead_to_them(room: Room, language: Language) -> None:
    name = language.url_name
    for path in (f"/{name}/", f"/{name}/feeds/"):
        page = room.client.get(path)
        assert page.status_code == 200 and f'<html lang="{language.tag}"' in page.text
    assert f'href="/{name}/"' in room.client.get("/zh/").text
    for path in ("/feeds.opml", f"/feeds/{name}.opml"):
        assert f"/feeds/{name}/visits.atom" in room.client.get(path).text
    related = [link["language"] for link in json.loads(room.client.get("/feeds/zh.json").data)["_diglot"]["related"]]
    assert language.tag in related


@BOTH
def test_a_published_release_is_given_an_edition(room: Room, language: Language) -> None:
    before = {item["id"] for item in room.items("en")}
    answer = room.add(0, language)
    assert (answer.status_code, answer.json["state"], answer.json["revision"]) == (200, "corrected", 2)
    name, slug = language.url_name, room.old[0]["slug"]
    for feed in (name, f"{name}/visits", f"{name}/archive/1", f"{name}/visits/archive/1"):
        assert [item["title"] for item in room.items(feed)] == [EDITIONS[language.tag]["headline"]]
    assert room.client.get(f"/{name}/releases/{slug}").status_code == 200
    assert f'hreflang="{language.tag}"' in room.client.get(f"/zh/releases/{slug}").text
    assert f"/{name}/releases/{slug}" in room.client.get("/sitemaps/1.xml").text
    assert room.items("en")[0]["id"] not in before, "whoever reads English learns of the new edition"
    assert len({item["id"] for item in room.items("en")}) == len(room.items("en"))


def test_an_edition_that_was_added_is_kept_by_later_corrections(room: Room) -> None:
    room.add(0, LATER[0])
    refused = room.put(0, **room.document["editions"])
    assert (refused.status_code, refused.json["errors"][0]["pointer"]) == (422, "/editions/fr")


def test_an_old_release_may_be_corrected_without_the_new_languages(room: Room) -> None:
    editions = {tag: {**edition, "headline": f"{edition['headline']} 2"}
                for tag, edition in room.document["editions"].items()}
    assert room.put(1, **editions).status_code == 200


def test_a_new_release_needs_every_language(room: Room) -> None:
    refused = room.client.post("/v1/releases", json=room.document, headers=room.staff)
    assert {error["pointer"] for error in refused.json["errors"]} == {"/editions/fr", "/editions/zh-Hant"}
    whole = {**room.document, "editions": {**room.document["editions"], **EDITIONS}}
    assert room.client.post("/v1/releases", json=whole, headers=room.staff).status_code == 201


@BOTH
def test_a_partner_that_ordered_the_new_language_is_sent_the_edition(room: Room, language: Language) -> None:
    order = {
        "partner": "P", "channel": "webhook", "callback": "https://p.example/", "languages": [language.tag],
    }
    wanted = subscriptions.subscribe(room.services.storage, order, room.services.clock())
    released = room.add(0, language).json["id"]
    with room.services.storage.read() as tx:
        [delivery] = deliveries.list_for_subscription(tx, wanted.id, limit=9, before=None)
    assert (str(delivery.release_id), delivery.languages) == (released, (language.tag,))


def test_an_edition_in_a_language_of_the_other_script_is_refused(room: Room) -> None:
    french = {**EDITIONS["fr"], "body_text": "这不是法文，一个字也不是。" * 20}
    refused = room.put(0, **room.document["editions"], fr=french)
    assert [error["code"] for error in refused.json["errors"]] == ["wrong_script"]
