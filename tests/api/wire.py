"""Staff, workers and one partner, and what is pushed between them."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

from flask.testing import FlaskClient

from service.config import Profile
from service.deliveries import plan_due
from service.model import Attempt, Claim
from service.publishing import publish_due
from service.replays import plan_replays
from service.retries import CLAIM, PAUSE_AFTER, PAUSE_FAILURES, decide
from service.storage import Storage, claims
from service.storage.outcomes import Outcome, make_report, record_outcomes
from tests.conftest import StoppedClock

Headers = dict[str, str]
# What a mail server answers that will never take the message: given up at once.
FINAL = 422
BOTH = {"zh-Hans": "数字有误", "en": "A figure was wrong"}


class Wire:
    """Staff, workers and one partner in one hand."""

    def __init__(
        self, client: FlaskClient, headers: Headers, storage: Storage, profile: Profile, clock: StoppedClock,
        document: dict[str, Any],
    ) -> None:
        self.client, self.headers, self.storage, self.profile, self.clock = client, headers, storage, profile, clock
        self.document = document
        self.path = self.subscribe()

    def subscribe(self, partner: str = "Daily") -> str:
        order = {
            "partner": partner, "channel": "webhook", "callback": f"https://{partner.lower()}.example/",
            "languages": ["en"],
        }
        made = self.client.post("/v1/subscriptions", json=order, headers=self.headers)
        return f"/v1/subscriptions/{made.json['id']}"

    def post(self, path: str, document: Any = None, **headers: str) -> Any:
        body = {} if document is None else {"json": document}
        return self.client.post(path, headers=self.headers | headers, **body)

    def get(self, path: str) -> Any:
        return self.client.get(path, headers=self.headers).json

    def publish(self) -> str:
        made = self.post("/v1/releases", self.document)
        self.work()
        return str(made.json["id"])

    def correct(self, release_id: str) -> None:
        path, match = f"/v1/releases/{release_id}", {"If-Match": "*"}
        document = copy.deepcopy(self.document) | {"change_note": BOTH}
        for edition in document["editions"].values():
            edition["headline"] += " 2"
        assert self.client.put(path, json=document, headers=self.headers | match).status_code == 200
        self.work()

    def withdraw(self, release_id: str) -> None:
        self.post(f"/v1/releases/{release_id}/withdraw", {"reason": BOTH}, **{"If-Match": "*"})
        self.work()

    def work(self) -> None:
        """What workers do, a moment later."""
        self.clock.advance(seconds=2)
        publish_due(self.storage, self.profile, self.clock)
        plan_due(self.storage, self.profile, self.clock)
        list(plan_replays(self.storage, self.profile, self.clock))

    def claim(self) -> list[Claim]:
        with self.storage.write() as tx:
            return claims.hold_due(tx, "me", limit=9, now=self.clock(), until=self.clock() + CLAIM).read()

    def deliver(self, status: int = 204) -> list[Claim]:
        """All that is due now, one after another, answered so."""
        pushed: list[Claim] = []
        while held := self.claim():
            for claim in held:
                self.record(claim, status)
            pushed += held
        return pushed

    def record(self, claim: Claim, status: int) -> None:
        tries = claim.attempt - claim.tries_before
        decision = decide(tries, status, {}, self.clock(), random.Random(0), heals=status != FINAL)
        attempt = Attempt(number=claim.attempt, started_at=self.clock(), duration_ms=0, status=status)
        outcome = Outcome(
            claim=claim, attempt=attempt, state=decision.state, next_attempt_at=decision.next_attempt_at
        )
        with self.storage.write() as tx:
            assert not record_outcomes(tx, make_report([outcome], tx.dialect))

    def fail_daily(self) -> list[str]:
        """So often that one more failure pauses it; returns the releases that failed."""
        failed = []
        for _ in range(PAUSE_FAILURES):
            failed.append(self.publish())
            self.deliver(FINAL)
            self.clock.now += PAUSE_AFTER / PAUSE_FAILURES
        return failed

    def fail_for_days(self) -> str:
        """Until it is paused; returns the first release that failed."""
        release_id, *_ = self.fail_daily()
        self.publish()
        [held] = self.claim()
        self.record(held, FINAL)
        assert self.get(self.path)["state"] == "paused"
        return release_id


def told(pushed: list[Claim]) -> list[tuple[str, str]]:
    """Event and release of each push."""
    bodies = [json.loads(claim.body) for claim in pushed]
    return [(body["type"].removeprefix("release."), body["data"]["release"]["id"]) for body in bodies]
