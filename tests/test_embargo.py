"""Nothing of what isn't public yet shows outside: every route and channel, against a newsroom that has no secrets."""

from __future__ import annotations

import copy
import gzip
import itertools
import re
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.routing import Rule

from service import keys
from service.api.auth import PUBLIC
from service.app import create_app
from service.config import Profile, Settings
from service.deliveries import plan_due
from service.edge import Services
from service.formats import FORMATS
from service.hub import plan_feeds, settle_intent
from service.messages import load_catalogue
from service.model import Attempt, Channel, Claim, DeliveryState, Format, IntentState, Role
from service.publishing import publish_due
from service.releases import publish_scheduled
from service.replays import plan_replays
from service.retries import CLAIM
from service.storage import Storage, claims
from service.storage.outcomes import Outcome, make_report, record_outcomes
from service.storage.websub import claim_intents
from tests.conftest import ROOT, SECRET_KEY, VAULT, RecordingQueue, StoppedClock, bearer, lend_database
from tests.media import jpeg
from workers import context
from workers.channels import CHANNELS
from workers.outbound import Mail, Response

# Every route, channel and moment takes its time on a slow machine.
pytestmark = pytest.mark.timeout(480)

# In the headline, the text, the notes and the reason of each secret.
WORD, CHINESE_WORD = "Zanzibar", "坦桑尼亚"
UNKNOWN = "01990000-0000-7000-8000-00000000dead"
Seen = tuple[int, list[tuple[str, str]], bytes]
LANGUAGES = ["zh-Hans", "en"]
# Drawn by lot, between the parts of a message.
BOUNDARY = re.compile(rb"={15}\d+==")
# Of every channel and every format one; WebSub is asked for at the hub.
ORDERS: list[dict[str, Any]] = [
    {"channel": "webhook", "callback": "http://127.0.0.1:9/"},
    {"channel": "webhook", "callback": "http://127.0.0.1:9/ninjs", "format": "ninjs"},
    {"channel": "webhook", "callback": "http://127.0.0.1:9/atom", "format": "atom", "languages": ["en"]},
    {"channel": "email", "callback": "mailto:desk@daily.example"},
    {
        "channel": "wordpress", "callback": "https://daily.example/wp-json", "username": "press",
        "application_password": "abcd EFGH 1234 ijkl MNOP 5678",
    },
]


class Ids:
    """Ids in place of chance: what is secret takes none away from the public."""

    def __init__(self) -> None:
        self.secret = False
        self._counts = {False: itertools.count(1), True: itertools.count(1)}

    def __call__(self) -> uuid.UUID:
        number = (next(self._counts[self.secret]) << 1) + self.secret
        return uuid.UUID(int=(0x0199 << 112) + (7 << 76) + (1 << 63) + number)


@dataclass
class Room:
    """One newsroom over HTTP; ``secrets`` are the ids and slugs that nobody outside may see."""

    services: Services
    clock: StoppedClock
    document: dict[str, Any]
    client: FlaskClient = field(init=False)
    secrets: list[str] = field(default_factory=list)
    public: list[str] = field(default_factory=list)
    channels: set[Channel] = field(default_factory=set)
    slugs: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.client = create_app(self.services).test_client()
        self.staff, self.partner = self._make_key(Role.STAFF), self._make_key(Role.PARTNER, "P")
        for order in ORDERS:
            self.public.append(self.call("/v1/subscriptions", {"partner": "P", "languages": LANGUAGES, **order})["id"])
        for topic in ("/feeds/en.atom", "/feeds/zh.json", "/feeds/en/events.rss"):
            self._subscribe_by_websub(topic)

    def _subscribe_by_websub(self, topic: str) -> None:
        """As a subscriber does that confirms at once."""
        services, now = self.services, self.clock()
        assert self.client.post("/hub", data=hub_form(services.profile.base_url + topic)).status_code == 202
        with services.storage.write() as tx:
            [intent] = claim_intents(tx, "me", limit=1, now=now, until=now + CLAIM)
        assert settle_intent(services.storage, services.profile, intent, IntentState.VERIFIED, None, now)

    def _make_key(self, role: Role, partner: str | None = None) -> dict[str, str]:
        return bearer(keys.make_key(self.services.storage, "key", role, self.clock(), partner)[1])

    def call(self, path: str, document: Any = None, **more: Any) -> Any:
        answer = self.client.open(path, method=more.pop("method", "POST"), json=document or {}, headers={
            **self.staff, "If-Match": "*",
        })
        assert answer.status_code < 300, answer.text
        return answer.json

    def post(self, headline: str) -> Any:
        document = copy.deepcopy(self.document) | {"media": [self.upload("red", "photo.jpg", self.files)]}
        document["editions"]["en"]["headline"] = headline
        return self.call("/v1/releases", document)

    def upload(self, colour: str, name: str, files: list[str]) -> Any:
        headers = {**self.staff, "Content-Disposition": f'attachment; filename="{name}"'}
        medium = self.client.post("/v1/media", data=jpeg(colour), headers=headers).json
        files.append(medium["url"].rsplit("/", 1)[1])
        return {"media": medium["id"], "alt": {"en": name, "zh-Hans": name}}

    def hide(self, name: str, **more: Any) -> Any:
        document = copy.deepcopy(self.document) | more
        for tag, word in (("en", WORD), ("zh-Hans", CHINESE_WORD)):
            for part in ("headline", "summary", "body_text"):
                document["editions"][tag][part] = f"{word} {name} {document['editions'][tag].get(part, '')}"
        medium = self.upload("blue", f"{WORD}.jpg", self.secrets)
        release = self.call("/v1/releases", document | {"media": [medium]})
        self.secrets += [release["id"], release["slug"], medium["media"]]
        return release

    def swap(self) -> list[bytes]:
        """What the workers do; the bodies that couriers take, and all that each channel says."""
        while publish_scheduled(self.services.storage, self.clock()):
            pass
        publish_due(self.services.storage, self.services.profile, self.clock)
        plan_due(self.services.storage, self.services.profile, self.clock)
        list(plan_replays(self.services.storage, self.services.profile, self.clock))
        taken: list[bytes] = []
        plan_feeds(self.services.storage, self.clock)
        while held := self._claim():
            for claim in held:
                taken += [claim.body + str(claim.link).encode(), *say_all(claim, self.clock())]
                self.channels.add(claim.channel)
            outcomes = [
                Outcome(
                    claim=claim, state=DeliveryState.DELIVERED, next_attempt_at=None,
                    attempt=Attempt(number=claim.attempt, started_at=self.clock(), duration_ms=1, status=204),
                )
                for claim in held
            ]
            with self.services.storage.write() as tx:
                assert not record_outcomes(tx, make_report(outcomes, tx.dialect))
        return taken

    def _claim(self) -> list[Claim]:
        now = self.clock()
        with self.services.storage.write() as tx:
            return claims.hold_due(tx, "me", limit=99, now=now, until=now + CLAIM).read()


def say_all(claim: Claim, now: datetime) -> Iterator[bytes]:
    """What the channel sends, to a partner who takes everything."""
    conversation = CHANNELS[claim.channel](claim, now)
    with suppress(StopIteration):
        said = next(conversation)
        for number in range(99):
            if isinstance(said, Mail):
                yield BOUNDARY.sub(b"", said.message)
            else:
                yield f"{said}{said.headers}{said.form}".encode() + said.body
            said = conversation.send(Response(status=201, error=None, duration_ms=1, body=b'{"id": %d}' % number))


@pytest.fixture(params=["sqlite", "postgresql"])
def make_room(
    request: pytest.FixtureRequest, tmp_path: Path, settings: Settings, profile: Profile,
    release_document: dict[str, Any],
) -> Iterator[Callable[[], Room]]:
    rooms: list[Room] = []
    databases = ExitStack()

    def make() -> Room:
        url = databases.enter_context(lend_database(request, request.param, tmp_path / f"{len(rooms)}.sqlite3"))
        storage = Storage(url, vault=VAULT)
        clock = StoppedClock()
        services = Services(
            settings=settings, profile=profile, storage=storage, queue=RecordingQueue(), clock=clock  # type: ignore[arg-type]
        )
        rooms.append(Room(services, clock, release_document))
        return rooms[-1]

    yield make
    for room in rooms:
        room.services.storage.close()
    databases.close()


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """Those of the workers too, with a mail server that nobody asks; the database is the room's own."""
    variables = {
        "DIGLOT_DATA_DIR": str(tmp_path), "DIGLOT_PROFILE": str(ROOT / "newsroom.json"),
        "DIGLOT_ALLOW_NETWORKS": "127.0.0.0/8", "DIGLOT_SECRET_KEY": SECRET_KEY,
        "DIGLOT_SMTP_URL": "smtp://127.0.0.1:9", "DIGLOT_MAIL_FROM": "press@news.example",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    context.settings.cache_clear()
    yield context.settings()
    context.settings.cache_clear()


def hub_form(topic: str) -> dict[str, str]:
    return {"hub.mode": "subscribe", "hub.topic": topic, "hub.callback": "http://127.0.0.1:9/"}


def look_at(room: Room, release: Any) -> str:
    """Who may look at this release may look at no other: its token."""
    made = room.call(f"/v1/releases/{release['id']}/previews")
    return str(made["urls"]["en"].rsplit("/", 1)[1])


def hide_one_of_each_kind(room: Room) -> None:
    at = (room.clock() + timedelta(hours=1)).isoformat(timespec="seconds")
    scheduled, draft = room.hide("scheduled", publish_at=at), room.hide("draft", status="draft")
    reworded = copy.deepcopy(room.document) | {"change_note": {"en": f"{WORD} again."}}
    for release in (scheduled, draft):
        assert look_at(room, release)
        room.call(f"/v1/releases/{release['id']}", reworded, method="PUT")
    room.call(f"/v1/releases/{room.hide('unscheduled', publish_at=at)['id']}/unschedule")
    withdrawn = room.hide("withdrawn")
    room.call(f"/v1/releases/{withdrawn['id']}/withdraw", {"reason": {"en": WORD, "zh-Hans": CHINESE_WORD}})


def live(room: Room, ids: Ids, *, has_secrets: bool) -> list[bytes]:
    """Some public life, with secrets kept meanwhile or without; all that was pushed."""
    pushed = room.swap()
    for number in range(1, 4):
        room.clock.advance(seconds=2)
        release = room.post(f"Public number {number}")
        room.public.append(release["id"])
        room.slugs.append(release["slug"])
        room.tokens.append(look_at(room, release))
        if has_secrets:
            ids.secret = True
            hide_one_of_each_kind(room)
            ids.secret = False
        room.clock.advance(seconds=2)
        pushed += room.swap()
    if has_secrets:
        # Nothing but secrets waits.
        ids.secret = True
        hide_one_of_each_kind(room)
        assert room.swap() == []
        ids.secret = False
    corrected = copy.deepcopy(room.document) | {"change_note": {"en": "A date."}, "siblings": "unaffected"}
    corrected["editions"]["en"]["headline"] = "Public number 1 corrected"
    room.call(f"/v1/releases/{room.public[len(ORDERS)]}", corrected, method="PUT")
    room.call(f"/v1/releases/{room.public[len(ORDERS) + 1]}/withdraw", {"reason": {"en": "An error."}})
    room.clock.advance(seconds=40)
    pushed += room.swap()
    return pushed + send_once_more(room)


def send_once_more(room: Room) -> list[bytes]:
    """All that ever was, to each partner, and a test."""
    for subscription_id in room.public[:len(ORDERS)]:
        path = f"/v1/subscriptions/{subscription_id}"
        room.call(f"{path}/replay", {"since": (room.clock() - timedelta(days=9)).isoformat(timespec="seconds")})
        room.call(f"{path}/test")
    again: list[bytes] = []
    while more := room.swap():
        again += more
    assert len(again) > 6 * len(ORDERS)
    return again


def candidates(room: Room, secrets: list[str]) -> dict[str, list[Any]]:
    """What to put where a route has a variable. A new variable has to be named here, or the walk fails."""
    profile = room.services.profile
    languages = [language.url_name for language in profile.languages]
    # Each once, and of a kind that never stands in this place, one: the walk has thousands of steps as it is.
    slugs = [*dict.fromkeys(secret for secret in secrets if secret.startswith(WORD.lower()))]
    ids = [*dict.fromkeys(secret for secret in secrets if is_id(secret))]
    slug = slugs[0]
    feeds = [*languages, *profile.categories, slug]
    named = sorted({code.split(".")[1] for code in load_catalogue("en") if code.startswith("problem.")})
    return {
        "url_name": [*languages, "fr"],
        "name": [f"{feed}.{format}" for feed in feeds for format in (*FORMATS, "xml")],
        "format": [*FORMATS],
        "number": [1, 2],
        "category": [*profile.categories, slug],
        "slug": [*room.slugs, *slugs, ids[0], "nothing"],
        "code": [*named, "nothing"],
        "filename": ["diglot.css", slug],
        "path": ["index.html", slug],
        "file_name": [room.files[0], *dict.fromkeys(secret for secret in secrets if secret.endswith(".jpg")), "x.jpg"],
        "medium_id": [secrets[0], UNKNOWN],
        "release_id": [*room.public, *ids, slug, UNKNOWN],
        "delivery_id": [secrets[0], UNKNOWN],
        "replay_id": [secrets[0], UNKNOWN],
        "subscription_id": [*room.public, ids[0], slug, UNKNOWN],
        "key_id": [secrets[0], UNKNOWN],
        "token": [*room.tokens, secrets[0], "nothing"],
    }


def is_id(text: str) -> bool:
    with suppress(ValueError):
        return str(uuid.UUID(text)) == text
    return False


def urls_of(rule: Rule, values: dict[str, list[Any]]) -> Iterator[str]:
    unknown = rule.arguments - set(values)
    assert not unknown, f"{rule.rule} is new: say in `candidates` what {unknown} can be"
    names = sorted(rule.arguments)
    for chosen in itertools.product(*(values[name] for name in names)):
        built = rule.build(dict(zip(names, chosen, strict=True)), append_unknown=False)
        assert built, f"no URL can be built for {rule.rule}"
        yield built[1]


def walk(room: Room, secrets: list[str]) -> Iterator[tuple[str, Seen]]:
    """Every answer that anybody outside can get: without a key, and with a partner's."""
    values = candidates(room, secrets)
    ask = f"?q={WORD}&state=scheduled&before=3&limit=100&cursor={secrets[0]}&preview={room.tokens[0]}"
    curious = {"Accept-Encoding": "gzip", "Accept-Language": "zh", "If-None-Match": "*"}
    for rule in sorted(room.client.application.url_map.iter_rules(), key=lambda rule: "GET" not in rule.methods):
        methods = (rule.methods or set()) - {"OPTIONS"}
        if rule.endpoint == "hub.post_hub":
            for name in values["name"]:
                topic = f"{room.services.profile.base_url}/feeds/en/{name}"
                yield from _look(room, "POST", rule.rule, {}, data=hub_form(topic))
        for url in urls_of(rule, values):
            callers = ({},) if rule.endpoint in PUBLIC else ({}, room.partner)
            for method, caller in itertools.product(sorted(methods), callers):
                yield from _look(room, method, url, caller)
            if "GET" in methods:
                yield from _look(room, "GET", url + ask, {**callers[-1], **curious})


def _look(
    room: Room, method: str, url: str, headers: dict[str, str], **content: Any
) -> Iterator[tuple[str, Seen]]:
    kind = {} if method in ("GET", "HEAD") else content or {"json": {}}
    with room.client.open(url, method=method, headers=headers, **kind) as answer:
        seen = [(name, value) for name, value in answer.headers if name != "Date"]
        place = f"{method} {url} {'with a key' if 'Authorization' in headers else ''}"
        yield place, (answer.status_code, seen, answer.data)


def test_no_route_and_no_push_tells_of_what_is_not_public(
    make_room: Callable[[], Room], monkeypatch: pytest.MonkeyPatch
) -> None:
    pushed, rooms, secrets = [], [], []
    for has_secrets in (True, False):
        ids = Ids()
        monkeypatch.setattr("service.subscriptions.make_secret", lambda: "whsec_a2V5")
        monkeypatch.setattr("uuid_utils.compat.uuid7", ids)
        room = make_room()
        pushed.append(live(room, ids, has_secrets=has_secrets))
        rooms.append(room)
        secrets += room.secrets
    assert pushed[0] == pushed[1] and len(pushed[0]) > 4
    assert rooms[0].channels == set(CHANNELS), "a channel is new: say in ORDERS how it is ordered"
    assert {order.get("format", "diglot") for order in ORDERS} == set(Format), "a format is new: order it"
    assert sum(b'rel="self"' in body for body in pushed[0]) > 4, "no feed was sent to its subscribers"
    words = [word.lower().encode() for word in (WORD, CHINESE_WORD, *secrets)]
    assert not any(word in body for word in words for body in map(bytes.lower, pushed[0]))
    shown = 0
    for (place, guarded), (_, plain) in zip(*(walk(room, secrets) for room in rooms), strict=True):
        assert guarded == plain, place
        status, headers, body = guarded
        text = gzip.decompress(body) if ("Content-Encoding", "gzip") in headers and body else body
        told = text.lower() + str(headers).encode().lower()
        # Who asks for an id may be told that there is none of that name: in both rooms alike.
        assert not [word for word in words if word in told and word not in place.lower().encode()], place
        assert status != 404 or ("Cache-Control", "no-store") in headers, place
        shown += status == 200
    assert shown > 100, "the walk met hardly anything"


def test_a_page_is_not_there_until_its_very_minute_and_nobody_keeps_its_absence(
    make_room: Callable[[], Room]
) -> None:
    room = make_room()
    room.swap()
    at = (room.clock() + timedelta(hours=1)).replace(microsecond=0)
    release = room.hide("scheduled", publish_at=at.isoformat())
    paths = [f"/{name}/releases/{release['slug']}" for name in ("zh", "en")]
    for now in (room.clock(), at - timedelta(microseconds=1)):
        room.clock.now = now
        room.swap()
        for path in paths:
            answer = room.client.get(path)
            assert (answer.status_code, answer.headers["Cache-Control"]) == (404, "no-store")
    room.clock.now = at
    room.swap()
    for path, name in zip(paths, ("zh", "en"), strict=True):
        assert room.client.get(path).status_code == 200
        assert release["slug"] in room.client.get(f"/feeds/{name}.atom").text


def test_the_walk_refuses_a_route_that_it_cannot_walk(make_room: Callable[[], Room]) -> None:
    room = make_room()
    room.files.append("x.jpg")
    room.tokens.append("x")
    room.client.application.url_map.add(Rule("/topics/<topic>", endpoint="web.topic", methods=["GET"]))
    with pytest.raises(AssertionError, match="topic"):
        list(walk(room, [UNKNOWN, WORD.lower()]))
