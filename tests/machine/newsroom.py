"""A newsroom that a machine drives: the core, its clock, its public side and two partners."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from service import releases, subscriptions
from service.app import create_app
from service.config import Profile, Settings
from service.deliveries import plan_due
from service.edge import Services
from service.model import Attempt, Claim, Draft, Edition, Release, ReleaseState, Withdrawal
from service.publishing import Published, publish_due
from service.retries import CLAIM, decide
from service.storage import Storage, claims
from service.storage.outcomes import Outcome, make_report, record_outcomes
from tests.conftest import RecordingQueue, StoppedClock
from tests.factories import make_desk
from tests.machine.model import Words

TAGS = {"zh": "zh-Hans", "en": "en"}
# What is ordered: languages and categories.
ORDERS = {"all": (("zh-Hans", "en"), ()), "some": (("en",), ("events",))}


def small(profile: Profile) -> Profile:
    """Short feeds and two categories, so that what overflows does so soon."""
    categories = {name: profile.categories[name] for name in ("visits", "events")}
    return dataclasses.replace(profile, feed_entries=3, categories=categories)


def draft_of(words: Words) -> Draft:
    editions = tuple(
        Edition(
            language=TAGS[name], headline=headline, summary=f"{headline}.", body_text=headline,
            body_html=f"<p>{headline}</p>",
        )
        for name, headline in words.headlines.items()
    )
    note = {"en": words.note} if words.note else {}
    return Draft(editions=editions, categories=words.categories, change_note=note)


class Newsroom:
    def __init__(self, storage: Storage, settings: Settings, profile: Profile) -> None:
        self.storage, self.profile, self.clock = storage, small(profile), StoppedClock()
        self.desk = make_desk(storage)
        self.client = create_app(Services(
            settings=settings, profile=self.profile, storage=storage, queue=RecordingQueue(),  # type: ignore[arg-type]
            clock=self.clock,
        )).test_client()
        self._chance = random.Random(0)
        self.partners = {self._subscribe(name): name for name in ORDERS}
        publish_due(storage, self.profile, self.clock)

    def _subscribe(self, name: str) -> Any:
        languages, categories = ORDERS[name]
        order = {
            "partner": name, "channel": "webhook", "callback": f"https://{name}.example/",
            "languages": list(languages), "categories": list(categories),
        }
        return subscriptions.subscribe(self.storage, order, self.clock()).id

    def accept(self, words: Words, state: str, publish_at: datetime | None = None) -> Release:
        return releases.accept_release(
            self.storage, draft_of(words), ReleaseState(state), self.clock(), self.desk, publish_at=publish_at
        )

    def revise(self, release_id: str, words: Words, *, unaffected: bool) -> Release:
        return self._move(releases.revise_release, release_id, draft_of(words), siblings_unaffected=unaffected)

    def schedule(self, release_id: str, publish_at: datetime) -> Release:
        return self._move(releases.schedule_release, release_id, publish_at)

    def unschedule(self, release_id: str) -> Release:
        return self._move(releases.unschedule_release, release_id)

    def publish(self, release_id: str) -> Release:
        return self._move(releases.publish_release, release_id)

    def withdraw(self, release_id: str, successor: Any) -> Release:
        withdrawal = Withdrawal(reason={"en": "An error."}, superseded_by=successor)
        return self._move(releases.withdraw_release, release_id, withdrawal)

    def _move(self, action: Callable[..., Release], release_id: str, *what: Any, **more: Any) -> Release:
        return action(
            self.storage, release_id, *what, self.clock(), self.desk, is_expected=lambda revision: True, **more
        )

    def run_schedule(self) -> int:
        return releases.publish_scheduled(self.storage, self.clock())

    def swap(self) -> Published:
        return publish_due(self.storage, self.profile, self.clock)

    def plan(self) -> None:
        """Batch after batch, as the sweep has it done."""
        for _ in range(3):
            plan_due(self.storage, self.profile, self.clock)

    def claim(self, limit: int = 1) -> list[Claim]:
        now = self.clock()
        with self.storage.write() as tx:
            return claims.hold_due(tx, f"courier {now}", limit=limit, now=now, until=now + CLAIM).read()

    def record(self, claim: Claim, status: int | None) -> bool:
        """Whether the outcome was taken; it is refused where the claim was lost meanwhile."""
        decision = decide(claim.attempt, status, {}, self.clock(), self._chance)
        attempt = Attempt(
            number=claim.attempt, started_at=self.clock(), duration_ms=1, status=status,
            error=None if status else "connect_failed",
        )
        outcome = Outcome(
            claim=claim, attempt=attempt, state=decision.state, next_attempt_at=decision.next_attempt_at
        )
        with self.storage.write() as tx:
            return not record_outcomes(tx, make_report([outcome], tx.dialect))

    def deliver_all(self) -> list[Claim]:
        """Every partner takes whatever it is owed, however long that lasts."""
        taken: list[Claim] = []
        idle = 0
        while idle < 3:
            claims = self.claim(limit=50)
            for claim in claims:
                self.record(claim, 204)
            taken += claims
            idle = 0 if claims else idle + 1
            self.clock.advance(hours=0 if claims else 30)
        return taken

    def later(self, seconds: float) -> datetime:
        return self.clock() + timedelta(seconds=seconds)
