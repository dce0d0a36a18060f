"""A newsroom of 300 releases in every state, and all its feed documents as somebody finds them who is told of one."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask.testing import FlaskClient
from lxml import etree

from service.app import create_app
from service.config import Language, Profile, Settings
from service.edge import Services
from service.feeds import entry_id
from service.model import Release, ReleaseState
from service.storage import Storage, releases
from service.validation import validate_release
from tests.conftest import RecordingQueue, StoppedClock
from tests.core.test_life import Newsroom

RELEASES = 300
ATOM = "{http://www.w3.org/2005/Atom}"
FRENCH, TAIWAN = Language("fr", "fr", "Français"), Language("zh-Hant", "tw", "繁體中文")

MEDIA = [
    {
        "url": "https://cdn.example/photo.jpg", "type": "image/jpeg", "byte_length": 48213, "width": 1600,
        "height": 900, "credit": {"en": "Photo: Gu Nian"},
        "alt": {"zh-Hans": "签约 & 握手", "en": "Signing & shaking hands"},
    },
    {"url": "https://cdn.example/agenda.pdf", "type": "application/pdf"},
]

# A release's number modulo ten says what becomes of it.
DRAFT, SCHEDULED, CORRECTED, WITHDRAWN, SUPERSEDED, DUE = 0, 1, 6, 7, 8, 9
NEVER_PUBLIC, GONE = {DRAFT, SCHEDULED}, {WITHDRAWN, SUPERSEDED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """``expected``: per language tag, the id of each live entry with its page and headline."""

    profile: Profile
    client: FlaskClient
    now: datetime
    accepted: tuple[Release, ...]
    expected: dict[str, dict[str, tuple[str, str]]]
    documents: dict[str, bytes]

    def atom(self, path: str) -> Any:
        return etree.fromstring(self.documents[path])

    def paths(self, format: str) -> list[str]:
        return [path for path in self.documents if path.endswith(f".{format}")]

    def language_of(self, path: str) -> Language:
        name = path.removeprefix("/feeds/").partition(".")[0].partition("/")[0]
        language = self.profile.find_language_by_url_name(name)
        assert language
        return language


def build(storage: Storage, profile: Profile, settings: Settings) -> Whole:
    """French and traditional Chinese come late: nothing is in French, and only the last hundred in the other."""
    clock = StoppedClock()
    later = dataclasses.replace(
        profile, base_url="https://press.example", languages=(*profile.languages, TAIWAN, FRENCH),
        icon="https://press.example/icon.png",
    )
    draft = validate_release(_document(0), _in_languages(later, 0))
    room = Newsroom(storage, later, clock, draft)
    room.swap()
    accepted = [_accept(room, number) for number in range(RELEASES)]
    clock.advance(minutes=2)
    while room.swap():
        pass
    for number, release in enumerate(accepted):
        _finish(room, number, release, accepted)
    while room.swap():
        pass
    services = Services(
        settings=settings, profile=later, storage=storage, queue=RecordingQueue(), clock=clock,  # type: ignore[arg-type]
    )
    client = create_app(services).test_client()
    return Whole(
        profile=later, client=client, now=clock(), accepted=tuple(accepted),
        expected=_expected(storage, later, accepted), documents=dict(crawl(client, later)),
    )


def token(number: int) -> str:
    """Stands in everything that one release says, and in no other."""
    return f"No{number:04}"


def crawl(client: FlaskClient, profile: Profile) -> Iterator[tuple[str, bytes]]:
    """From the list of feeds to each feed in each format, and from those back through all archives."""
    outlines = etree.fromstring(client.get("/feeds.opml").data).iterfind(".//outline[@xmlUrl]")
    for outline in outlines:
        path = outline.get("xmlUrl").removeprefix(profile.base_url).removesuffix(".atom")
        yield f"{path}.rss", _get(client, f"{path}.rss")
        for start, step in ((f"{path}.atom", previous_archive), (f"{path}.json", next_page)):
            at: str | None = start
            while at:
                body = _get(client, at)
                yield at, body
                url = step(body)
                at = url and url.removeprefix(profile.base_url)


def previous_archive(body: bytes) -> str | None:
    """RFC 5005 section 4."""
    link = etree.fromstring(body).find(f"{ATOM}link[@rel='prev-archive']")
    return None if link is None else link.get("href")


def next_page(body: bytes) -> str | None:
    """JSON Feed 1.1, `next_url`."""
    return json.loads(body).get("next_url")


def _get(client: FlaskClient, path: str) -> bytes:
    answer = client.get(path)
    assert answer.status_code == 200, path
    return answer.data


def _in_languages(profile: Profile, number: int) -> Profile:
    """The newsroom as it was when this release was accepted."""
    return dataclasses.replace(profile, languages=profile.languages[:2 if number < 200 else 3])


def _document(number: int) -> dict[str, Any]:
    name = token(number)
    html = '<p>见<a href="/about">{0}</a>：A&amp;B &lt;焊接&gt; 𠮷🎉<img src="https://img.example/a.png" alt=""></p>'
    editions: dict[str, Any] = {
        "zh-Hans": {"headline": f"两校签署“{name}”协议 & 互派教师 <第{number}号>", "body_html": html.format(name)},
        "en": {
            "headline": f"Two Schools Sign {name} & Exchange Teachers: 3 < 5 > 2",
            "summary": f"Summary of {name}: A & B", "dateline": "TIANJIN",
            "body_text": f"The schools signed {name}.\n\n<script>alert(1)</script> is no markup here & stays text.",
        },
    }
    if number >= 200:
        editions["zh-Hant"] = {"headline": f"兩校簽署「{name}」協議", "body_text": f"兩校簽署{name}協議。"}
    categories = ["visits", "agreements", "events"][:number % 4]
    document = {"editions": editions, "categories": categories, "slug": f"release-{name.lower()}"}
    return document if number % 3 else {**document, "media": MEDIA}


def _accept(room: Newsroom, number: int) -> Release:
    room.draft = validate_release(_document(number), _in_languages(room.profile, number))
    kind = number % 10
    if kind == DRAFT:
        return room.accept(ReleaseState.DRAFT)
    if kind in (SCHEDULED, DUE):
        wait = timedelta(days=30) if kind == SCHEDULED else timedelta(minutes=1)
        return room.accept(ReleaseState.SCHEDULED, publish_at=room.clock() + wait)
    return room.accept()


def _finish(room: Newsroom, number: int, release: Release, accepted: list[Release]) -> None:
    kind = number % 10
    if kind == CORRECTED:
        room.draft = validate_release(_document(number), _in_languages(room.profile, number))
        room.correct(release, *release.languages)
    elif kind == WITHDRAWN:
        room.withdraw(release)
    elif kind == SUPERSEDED:
        room.withdraw(release, superseded_by=accepted[number - 3].id)


def _expected(
    storage: Storage, profile: Profile, accepted: list[Release]
) -> dict[str, dict[str, tuple[str, str]]]:
    kinds = {release.id: number % 10 for number, release in enumerate(accepted)}
    with storage.read() as tx:
        live = [r for r in releases.list_public(tx, kinds) if kinds[r.id] not in NEVER_PUBLIC | GONE]
    return {
        language.tag: {
            entry_id(release.id, language.tag): (profile.page_url(language, release.slug), edition.headline)
            for release in live if (edition := release.edition(language.tag))
        }
        for language in profile.languages
    }
