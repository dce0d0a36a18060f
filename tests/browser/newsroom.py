"""A newsroom with a page of every kind, behind the real web server."""

from __future__ import annotations

import copy
import dataclasses
import io
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from service import keys, subscriptions
from service.clock import utc_now
from service.config import Profile, load_profile, read_settings
from service.media import find_named, keep_medium
from service.model import Attempt, Claim, DeliveryState, Draft, Release, ReleaseState, Role
from service.previews import issue_pass
from service.releases import revise_release
from service.retries import CLAIM
from service.storage import Storage, claims
from service.storage.outcomes import Outcome, make_report, record_outcomes
from service.supervisor import answers_http, service_stages
from service.unsubscribing import make_token
from service.validation import validate_release
from tests.conftest import ROOT, SECRET_KEY, VAULT, StoppedClock, bearer
from tests.core.newsroom import Newsroom
from tests.faults.processes import free_port, wait_until
from tests.media import jpeg

WIDE = (
    "<p>https://example.org/" + "a" * 200 + "</p><pre>" + "pre " * 60 + "</pre><table><tbody><tr>"
    + "".join(f"<td>Column{number}</td>" for number in range(20)) + "</tr></tbody></table>"
)
LATER = {"url_name": "fr", "name": "Français"}
ANSWERS = {204: DeliveryState.DELIVERED, 404: DeliveryState.ABANDONED, 503: DeliveryState.DUE}
LONG = "a-rather-long-path/" * 6


@dataclasses.dataclass(frozen=True, slots=True)
class House:
    """Paths stand in ``rooms`` by name, with `{}` for a language's name in URLs."""

    base_url: str
    rooms: dict[str, str]
    staff: dict[str, str]


@contextmanager
def open_house(folder: Path) -> Iterator[House]:
    port = free_port()
    variables = {
        "DIGLOT_PORT": str(port), "DIGLOT_DATA_DIR": str(folder), "DIGLOT_PROFILE": str(folder / "newsroom.json"),
        "DIGLOT_REDIS_URL": "redis://127.0.0.1:1/0", "DIGLOT_SECRET_KEY": SECRET_KEY,
    }
    settings = read_settings(variables)
    storage = Storage(settings.database_url, vault=VAULT)
    storage.migrate()
    rooms = Furnisher(storage, folder, f"http://127.0.0.1:{port}").furnish()
    staff = bearer(keys.make_key(storage, "press", Role.STAFF, StoppedClock()())[1])
    storage.close()
    web = next(each for stage in service_stages(settings) for each in stage if each.name == "web")
    process = subprocess.Popen(web.command, cwd=ROOT, env=os.environ | variables)
    try:
        wait_until(lambda: answers_http(port), "the web answers")
        yield House(f"http://127.0.0.1:{port}", rooms, staff)
    finally:
        process.terminate()
        process.wait(20)


class Furnisher:
    """Releases, partners and deliveries in every state, and a language that came later than most of them."""

    def __init__(self, storage: Storage, folder: Path, base_url: str) -> None:
        self._folder = folder
        self._newsroom = json.loads((ROOT / "newsroom.json").read_text("utf-8")) | {"base_url": base_url}
        self._text = json.loads((ROOT / "examples/release.json").read_text("utf-8"))
        del self._text["slug"]
        profile = self._write_profile()
        self.room = Newsroom(storage, profile, StoppedClock(), validate_release(self._text, profile))
        self.room.swap()

    def furnish(self) -> dict[str, str]:
        for status in ANSWERS:
            self._order("webhook", f"https://partner{status}.example/{LONG}")
        reader = self._order("email", "mailto:desk@daily.example")
        shown, gone = self._upload("teal"), self._upload("gold")
        full = self._accept(media=[{"media": shown, "alt": {"en": "A"}, "credit": {"zh-Hans": "摄影：顾念"}}])
        corrected, withdrawn, scheduled = (
            self._accept(), self._accept(media=[{"media": gone}]), self._accept(ReleaseState.DRAFT)
        )
        hidden = self._accept(ReleaseState.DRAFT, media=[{"media": self._upload("navy"), "alt": {"en": "A"}}])
        for _ in range(26):
            self._accept()
        self._let_out()
        self.room.move(revise_release, corrected, self._changed())
        self.room.withdraw(withdrawn)
        self._let_out()
        self._newsroom["languages"]["fr"] = LATER
        for names in (self._newsroom["name"], *self._newsroom["categories"].values()):
            names["fr"] = "Nouvelles"
        self.room.profile = self._write_profile()
        self._text["editions"]["fr"] = {"headline": "Un accord", "body_text": "Un accord est signé."}
        french = self._accept()
        self._let_out()
        pages = {"full": full, "corrected": corrected, "withdrawn": withdrawn, "scheduled": scheduled}
        return {
            **{name: f"/{{}}/releases/{release.slug}" for name, release in (*pages.items(), ("french", french))},
            **{f"receipts-{name}": f"/v1/releases/{release.id}/receipts" for name, release in pages.items()},
            "picture": self._path_of(shown), "picture-gone": self._path_of(gone),
            "preview": self._look_at(hidden, utc_now()),
            "preview-ended": self._look_at(hidden, utc_now() - timedelta(days=2)),
            "unsubscribe": f"/unsubscribe/{make_token(reader.id, reader.secret.reveal())}",
        }

    def _look_at(self, release: Release, now: datetime) -> str:
        """The address of a preview, of a revision that a newer one then follows."""
        _, shown_by = issue_pass(self.room.storage, release.id, now, self.room.desk)
        self.room.move(revise_release, release, self._changed())
        return f"/{{}}/previews/{shown_by.token}"

    def _write_profile(self) -> Profile:
        (self._folder / "newsroom.json").write_text(json.dumps(self._newsroom), "utf-8")
        return load_profile(self._folder / "newsroom.json")

    def _order(self, channel: str, callback: str) -> Any:
        order = {"partner": "Daily", "channel": channel, "callback": callback, "languages": ["zh-Hans", "en"]}
        return subscriptions.subscribe(self.room.storage, order, self.room.clock())

    def _upload(self, colour: str) -> str:
        picture = io.BytesIO(jpeg(colour, size=(1600, 900)))
        folder = self._folder / "media"
        folder.mkdir(exist_ok=True)
        return str(keep_medium(self.room.storage, folder, picture, "a.jpg", self.room.clock())[0].id)

    def _path_of(self, medium_id: str) -> str:
        found = find_named(self.room.storage, {"media": [{"media": medium_id}]}, self.room.profile)
        return f"/media/{found[medium_id].file_name}"

    def _accept(self, state: ReleaseState = ReleaseState.PUBLISHED, **more: Any) -> Release:
        document = copy.deepcopy(self._text) | more
        for edition in document["editions"].values():
            edition["body_html"] = f"<p>{edition.pop('body_text')}</p>{WIDE}"
        stored = find_named(self.room.storage, document, self.room.profile)
        self.room.draft = validate_release(document, self.room.profile, stored)
        return self.room.accept(state)

    def _changed(self) -> Draft:
        """A correction whose note is in Chinese alone."""
        return dataclasses.replace(self.room.changed("zh-Hans", "en"), change_note={"zh-Hans": "更正标题。"})

    def _let_out(self) -> None:
        """Some partner takes it, one refuses it for good, one will be asked again, and one isn't asked yet."""
        self.room.swap()
        now = self.room.clock()
        with self.room.storage.write() as tx:
            held = claims.hold_due(tx, "courier", limit=200, now=now, until=now + CLAIM).read()
            record_outcomes(tx, make_report([
                outcome(claim, status, state, now)
                for claim in held for status, state in ANSWERS.items() if f"partner{status}" in claim.callback
            ], tx.dialect))


def outcome(claim: Claim, status: int, state: DeliveryState, now: datetime) -> Outcome:
    attempt = Attempt(number=claim.attempt, started_at=now, duration_ms=1, status=status)
    return Outcome(claim=claim, attempt=attempt, state=state, next_attempt_at=now if state == "due" else None)
