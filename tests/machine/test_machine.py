"""Whatever staff, time, workers and partners do, in whatever order: the public sees what the model says."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from service.config import Profile, Settings, read_settings
from service.feeds import ARCHIVE_ENTRIES
from service.lifecycle import IllegalMove
from service.siblings import StaleSiblings
from service.storage import Storage, audit
from tests.conftest import VAULT
from tests.machine.model import LEGAL, PUBLIC, Known, Model, Words
from tests.machine.newsroom import Newsroom
from tests.machine.partners import Partners
from tests.machine.public import Public
from tests.services.postgres import Postgres

PICK = st.integers(0, 10_000)
CATEGORIES = st.sampled_from([(), ("visits",), ("events",), ("visits", "events")])


class Life(RuleBasedStateMachine):
    """Each rule does a thing to the newsroom and to the model; `check` compares what readers get."""

    open_newsroom: ClassVar[Callable[[], Newsroom]]

    def __init__(self) -> None:
        super().__init__()
        self.room, self.model = type(self).open_newsroom(), Model()
        self.numbers = itertools.count(1)
        self.second = self.room.clock().replace(microsecond=0)
        self.in_flight: list[Any] = []
        self.touched: list[Known] = []
        self.public, self.partners = Public(self.room, self.model), Partners(self.room, self.model)

    def teardown(self) -> None:
        self._finish()
        self.room.storage.close()

    # What staff do

    @rule(state=st.sampled_from(["draft", "published"]), categories=CATEGORIES)
    def accept(self, state: str, categories: tuple[str, ...]) -> None:
        self._accept(state, categories)

    @rule(seconds=st.sampled_from([1, 2.5, 40]), categories=CATEGORIES)
    def accept_for_later(self, seconds: float, categories: tuple[str, ...]) -> None:
        self._accept("scheduled", categories, self.room.later(seconds))

    @precondition(lambda self: len(self.model.releases) < 2 * ARCHIVE_ENTRIES)
    @rule(categories=CATEGORIES)
    def accept_many(self, categories: tuple[str, ...]) -> None:
        for _ in range(ARCHIVE_ENTRIES // 2 + 1):
            self._accept("published", categories)

    @precondition(lambda self: self.model.releases)
    @rule(pick=PICK, how=st.sampled_from(["all", "one", "none", "categories"]), unaffected=st.booleans(),
          categories=CATEGORIES)
    def revise(self, pick: int, how: str, unaffected: bool, categories: tuple[str, ...]) -> None:
        known = self._pick(pick)
        before = known.revisions[-1]
        words = self._reworded(before, how, categories)
        is_public = known.state in PUBLIC
        if not self._is_legal(known, "revise", lambda: self.room.revise(known.id, words, unaffected=unaffected)):
            return
        if is_public and how == "one" and not unaffected:
            with pytest.raises(StaleSiblings):
                self.room.revise(known.id, words, unaffected=False)
            return
        self.room.revise(known.id, words, unaffected=unaffected)
        if words == before or (replace(words, note=before.note) == before and not words.note):
            return
        known.revisions.append(words)
        self.model.move(known, "revise")
        self.model.note("revised", known)
        if is_public:
            self.model.owe(known, self.room.clock())

    @precondition(lambda self: self.model.releases)
    @rule(pick=PICK, seconds=st.sampled_from([1, 3, 600]))
    def schedule(self, pick: int, seconds: float) -> None:
        known, publish_at = self._pick(pick), self.room.later(seconds)
        if self._is_legal(known, "schedule", lambda: self.room.schedule(known.id, publish_at)):
            self.room.schedule(known.id, publish_at)
            self.model.move(known, "schedule")
            known.publish_at = publish_at
            self.model.note("scheduled", known)

    @precondition(lambda self: self.model.releases)
    @rule(pick=PICK)
    def unschedule(self, pick: int) -> None:
        known = self._pick(pick)
        if self._is_legal(known, "unschedule", lambda: self.room.unschedule(known.id)):
            self.room.unschedule(known.id)
            self.model.move(known, "unschedule")
            self.model.note("unscheduled", known)

    @precondition(lambda self: self.model.releases)
    @rule(pick=PICK)
    def publish(self, pick: int) -> None:
        known = self._pick(pick)
        if self._is_legal(known, "publish", lambda: self.room.publish(known.id)):
            self.room.publish(known.id)
            self.model.move(known, "publish")
            self.model.owe(known, self.room.clock())
            self.model.note("published", known)

    @precondition(lambda self: self.model.releases)
    @rule(pick=PICK, other=st.none() | PICK)
    def withdraw(self, pick: int, other: int | None) -> None:
        known = self._pick(pick)
        successor = None if other is None else self._pick(other)
        if successor and (successor is known or successor.state not in PUBLIC):
            successor = None
        withdrawn = lambda: self.room.withdraw(known.id, successor.id if successor else None)  # noqa: E731
        if self._is_legal(known, "withdraw", withdrawn):
            withdrawn()
            self.model.move(known, "withdraw")
            known.successor = successor
            self.model.owe(known, self.room.clock())
            self.model.note("withdrawn", known)

    # What time and workers do

    @rule(seconds=st.sampled_from([0.4, 1, 2, 30, 700]))
    def pass_time(self, seconds: float) -> None:
        self.room.clock.advance(seconds=seconds)

    @rule(seconds=st.sampled_from([0.5, 3, 3600]))
    def set_the_clock_back(self, seconds: float) -> None:
        self.room.clock.advance(seconds=-seconds)

    @rule()
    def run_the_schedule(self) -> None:
        due = self.model.due(self.room.clock())
        assert self.room.run_schedule() == len(due)
        for known in due:
            self.model.move(known, "publish")
            assert known.publish_at
            self.model.owe(known, known.publish_at)
            self.model.note("published", known)

    @rule()
    def swap(self) -> None:
        now, is_waiting = self.room.clock(), any(known.waiting for known in self.model.releases)
        published = self.room.swap()
        if published.wait_seconds:
            assert is_waiting and now < self.second + timedelta(seconds=1) <= now + timedelta(seconds=1)
        elif is_waiting:
            assert published.count == self.model.swap()
            self.second = max(self.second + timedelta(seconds=1), now.replace(microsecond=0))
            self.public.is_stale = True
        else:
            assert published.count == 0

    @rule()
    def plan(self) -> None:
        self.room.plan()
        self.model.to_plan.clear()

    @rule()
    def do_what_the_task_does(self) -> None:
        self.pass_time(1)
        self.run_the_schedule()
        self.swap()
        self.plan()

    # What partners get

    @rule()
    def claim(self) -> None:
        claims = self.room.claim()
        self.in_flight += claims
        self.partners.take(claims)

    @precondition(lambda self: self.in_flight)
    @rule(pick=PICK, status=st.sampled_from([204, 500, None]))
    def record(self, pick: int, status: int | None) -> None:
        self.room.record(self.in_flight.pop(pick % len(self.in_flight)), status)

    @precondition(lambda self: self.in_flight)
    @rule(pick=PICK)
    def lose_a_courier(self, pick: int) -> None:
        self.in_flight.pop(pick % len(self.in_flight))

    # What must hold

    @invariant()
    def check(self) -> None:
        self.public.check(self._watched())

    def _finish(self) -> None:
        self.room.clock.advance(hours=2)
        self.do_what_the_task_does()
        self.check()
        self.partners.take(self.room.deliver_all())
        self.partners.check_last()
        with self.room.storage.read() as tx:
            entries = audit.list_entries(tx, limit=10_000)
        slugs = {known.id: known.slug for known in self.model.releases}
        told = [(entry.action, slugs[entry.release_id], entry.revision) for entry in reversed(entries)]
        assert told == self.model.audit

    # Small parts

    def _accept(self, state: str, categories: tuple[str, ...], publish_at: Any = None) -> None:
        number = next(self.numbers)
        words = Words({"zh": f"新闻第{number}号甲", "en": f"News number {number} first"}, categories)
        release = self.room.accept(words, state, publish_at)
        known = Known(release.id, release.slug, state, [words], publish_at)  # type: ignore[arg-type]
        self.model.releases.append(known)
        if state == "published":
            self.model.owe(known, self.room.clock())
        self.model.note("accepted", known)

    def _reworded(self, before: Words, how: str, categories: tuple[str, ...]) -> Words:
        number = next(self.numbers)
        headlines = dict(before.headlines)
        if how in ("all", "one"):
            headlines["en"] = f"News number {number} again"
        if how == "all":
            headlines["zh"] = f"新闻第{number}号乙"
        note = f"Note {number}." if number % 2 else None
        return Words(headlines, categories if how == "categories" else before.categories, note)

    def _pick(self, number: int) -> Known:
        """Rather a young one, so that a release lives through more than one thing."""
        among = self.model.releases[-5:] if number % 3 else self.model.releases
        self.touched.append(among[number % len(among)])
        return self.touched[-1]

    def _is_legal(self, known: Known, move: str, attempt: Callable[[], Any]) -> bool:
        if move in LEGAL[known.state]:
            return True
        with pytest.raises(IllegalMove) as refused:
            attempt()
        assert refused.value.params["allowed"] == list(LEGAL[known.state])
        return False

    def _watched(self) -> list[Known]:
        """Those whose pages are looked at: the youngest, and whichever was touched last."""
        return list({known.slug: known for known in (*self.model.releases[-4:], *self.touched[-4:])}.values())


def run(open_newsroom: Callable[[], Newsroom], examples: int, steps: int) -> None:
    machine = type("LifeHere", (Life,), {"open_newsroom": staticmethod(open_newsroom)})
    run_state_machine_as_test(machine, settings=settings(
        max_examples=examples, stateful_step_count=steps, deadline=None, derandomize=True, database=None,
        suppress_health_check=list(HealthCheck), print_blob=False, phases=[Phase.generate],
    ))


@pytest.fixture
def settings_here(tmp_path: Path) -> Settings:
    return read_settings({"DIGLOT_DATA_DIR": str(tmp_path)})


def test_readers_and_partners_see_what_the_model_says_on_sqlite(
    tmp_path: Path, sqlite_pattern: Path, profile: Profile, settings_here: Settings
) -> None:
    numbers = itertools.count()

    def open_newsroom() -> Newsroom:
        path = tmp_path / f"{next(numbers)}.sqlite3"
        shutil.copyfile(sqlite_pattern, path)
        return Newsroom(Storage(f"sqlite:///{path}", vault=VAULT), settings_here, profile)

    run(open_newsroom, examples=12, steps=40)


def test_readers_and_partners_see_what_the_model_says_on_postgresql(
    postgres: Postgres, postgres_pattern: str, profile: Profile, settings_here: Settings
) -> None:
    def open_newsroom() -> Newsroom:
        storage = Storage(postgres.create_database(postgres_pattern), vault=VAULT)
        return Newsroom(storage, settings_here, profile)

    run(open_newsroom, examples=3, steps=40)
