"""The task that publishes and plans: no release waits until all partners of another are planned."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from celery import Celery

from service import deliveries as planning
from service import replays
from service.config import Profile
from service.model import DeliveryState, Draft, ReleaseState, Replay, Subscription
from service.releases import accept_release, get_release
from service.replays import get_replay, start_replay
from service.storage import Storage, engine
from service.storage.deliveries import list_for_release
from service.storage.tables import deliveries
from service.subscriptions import subscribe
from service.validation import validate_release
from tests.conftest import RecordingQueue, StoppedClock
from tests.factories import make_desk

SUBSCRIPTIONS = 3
PAST = datetime(2000, 1, 1, tzinfo=UTC)


class EagerQueue(RecordingQueue):
    """Does what a test wants as soon as couriers are called."""

    def __init__(self, on_deliver: Callable[[], None]) -> None:
        super().__init__()
        self._on_deliver = on_deliver

    def deliver(self, couriers: int = 1) -> None:
        super().deliver(couriers)
        self._on_deliver()


@pytest.fixture
def draft(release_document: dict[str, Any], profile: Profile) -> Draft:
    return validate_release(release_document, profile)


def employ(
    monkeypatch: pytest.MonkeyPatch, storage: Storage, profile: Profile, queue: EagerQueue, clock: StoppedClock
) -> None:
    """Have the task work with these."""
    from workers import context, publish

    monkeypatch.setattr(engine, "GIVE_WAY_SECONDS", 0)
    monkeypatch.setattr(publish, "utc_now", clock)
    for name, value in {"storage": storage, "profile": profile, "queue": queue}.items():
        monkeypatch.setattr(context, name, lambda value=value: value)


def test_what_is_accepted_while_another_is_planned_goes_public_before_the_planning_ends(
    storage: Storage, profile: Profile, clock: StoppedClock, draft: Draft, workers_app: Celery,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from workers import publish

    desk, later, public_after = make_desk(storage), [], []

    def accept() -> Any:
        return accept_release(storage, draft, ReleaseState.PUBLISHED, clock(), desk)

    def on_deliver() -> None:
        clock.advance(seconds=1)
        if not later:
            later.append(accept().id)
        elif get_release(storage, later[0]).published_at:
            public_after.append(len(queue.nudges))

    for number in range(SUBSCRIPTIONS):
        order = {"partner": f"P{number}", "channel": "webhook", "callback": "https://p.example/", "languages": ["en"]}
        subscribe(storage, order, clock())
    accept()
    queue = EagerQueue(on_deliver)
    monkeypatch.setattr(planning, "SUBSCRIPTION_BATCH", 1)
    monkeypatch.setattr(planning, "FIRST_BATCH", 1)
    employ(monkeypatch, storage, profile, queue, clock)
    publish._publish()
    # A nudge for each part: one more of the first release goes out, then the second is there.
    assert public_after[0] == 2
    assert queue.nudges == ["deliver"] * 2 * SUBSCRIPTIONS


def test_as_many_couriers_are_called_as_one_release_keeps_busy(
    storage: Storage, profile: Profile, clock: StoppedClock, draft: Draft, workers_app: Celery,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from workers import publish

    for number in range(SUBSCRIPTIONS):
        order = {"partner": f"P{number}", "channel": "webhook", "callback": "https://p.example/", "languages": ["en"]}
        subscribe(storage, order, clock())
    accept_release(storage, draft, ReleaseState.PUBLISHED, clock(), make_desk(storage))
    queue = EagerQueue(lambda: None)
    monkeypatch.setattr(publish, "FIRST_ROOM", SUBSCRIPTIONS - 1)
    employ(monkeypatch, storage, profile, queue, clock)
    publish._publish()
    assert queue.nudges == ["deliver"] * 2


def test_what_is_accepted_while_old_releases_are_sent_once_more_goes_public_and_is_planned_before_that_ends(
    storage: Storage, profile: Profile, clock: StoppedClock, draft: Draft, workers_app: Celery,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of two replays, moreover, neither waits for the other's end."""
    from workers import publish

    desk, later, planned_after = make_desk(storage), [], []

    def on_deliver() -> None:
        clock.advance(seconds=1)
        if not replaying:
            return
        if not later:
            later.append(accept_release(storage, draft, ReleaseState.PUBLISHED, clock(), desk).id)
        with storage.read() as tx:
            if list_for_release(tx, later[0], limit=9, before=None):
                planned_after.append([get_replay(storage, each, replay.id).planned_at for each, replay in replaying])

    replaying: list[tuple[Subscription, Replay]] = []
    order = {"partner": "P", "channel": "webhook", "callback": "https://p.example/", "languages": ["en"]}
    receivers = [subscribe(storage, order, clock()) for _ in range(2)]
    queue = EagerQueue(on_deliver)
    monkeypatch.setattr(replays, "BATCH", 1)
    employ(monkeypatch, storage, profile, queue, clock)
    for _ in range(4):
        accept_release(storage, draft, ReleaseState.PUBLISHED, clock(), desk)
    publish._publish()
    with storage.write() as tx:
        tx.execute(deliveries.update().values(state=DeliveryState.DELIVERED, lane=None, next_attempt_at=None))
    replaying += [(each, start_replay(storage, each.id, PAST, clock(), desk)) for each in receivers]
    publish._publish()
    assert planned_after[0] == [None, None]
    # None is done before the other has come as far.
    assert not any(planned.count(None) == 1 for planned in planned_after)
    assert all(get_replay(storage, each, replay.id).planned_at for each, replay in replaying)
