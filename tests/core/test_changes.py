"""Waiting events joined per release, and the instants that readers order by."""

from __future__ import annotations

import dataclasses
import itertools
from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.changes import Change, Stamp, coalesce, next_stamp, stamp_changes
from service.clock import new_id
from service.model import Event, EventType, Release, ReleaseState
from tests.factories import NOON

ID, OTHER = new_id(), new_id()
PUBLISHED, CORRECTED, WITHDRAWN = (
    EventType.RELEASE_PUBLISHED, EventType.RELEASE_CORRECTED, EventType.RELEASE_WITHDRAWN,
)
P1, C2, C3, W3 = (PUBLISHED, 1), (CORRECTED, 2), (CORRECTED, 3), (WITHDRAWN, 3)


def event(type: EventType, revision: int, release_id: UUID = ID) -> Event:
    return Event(id=new_id(), type=type, created_at=NOON, release_id=release_id, revision=revision)


def release(release_id: UUID = ID) -> Release:
    return Release(
        id=release_id, slug=str(release_id), revision=1, state=ReleaseState.PUBLISHED, editions=(), created_at=NOON,
        updated_at=NOON,
    )


@pytest.mark.parametrize(("waiting", "is_known", "shown"), [
    ([P1], False, (PUBLISHED, 1)),
    ([P1, C2], False, (PUBLISHED, 2)),
    ([P1, C2, C3], False, (PUBLISHED, 3)),
    ([C2], False, (PUBLISHED, 2)),
    ([P1, C2, W3], False, None),
    ([W3], False, None),
    ([C2], True, (CORRECTED, 2)),
    ([C2, C3], True, (CORRECTED, 3)),
    ([C2, C3, W3], True, (WITHDRAWN, 3)),
    ([W3], True, (WITHDRAWN, 3)),
])
def test_what_waits_of_a_release_comes_to_one_event_in_whatever_order_it_is_found(
    waiting: list[tuple[EventType, int]], is_known: bool, shown: tuple[EventType, int] | None
) -> None:
    """A clock that was set back turns the order of their times round, not that of the release's life."""
    for order in itertools.permutations([event(*each) for each in waiting]):
        kept, dropped = coalesce(order, {ID: release()} if is_known else {})
        assert [(each.type, each.revision) for each in kept] == ([shown] if shown else [])
        assert {each.id for each in (*kept, *dropped)} == {each.id for each in order}
        assert len(kept) + len(dropped) == len(order)


@pytest.mark.parametrize("waiting", [[C2, C3], [C2, C3, W3]])
def test_what_is_shown_names_the_revision_that_readers_saw_before(waiting: list[tuple[EventType, int]]) -> None:
    [shown], _ = coalesce([event(*each) for each in waiting], {ID: release()})
    assert shown.after_revision == 1
    [first], _ = coalesce([event(*P1), event(*C2)], {})
    assert first.after_revision is None


def test_releases_keep_the_order_of_their_first_events() -> None:
    waiting = [event(*P1), event(*P1, OTHER), event(*C2)]
    shown, _ = coalesce(waiting, {})
    assert [each.release_id for each in shown] == [ID, OTHER]


@given(st.lists(st.tuples(st.integers(0, 4), st.timedeltas(timedelta(hours=-2), timedelta(hours=2)))))
def test_instants_seconds_and_positions_only_ever_grow(swaps: list[tuple[int, timedelta]]) -> None:
    """Whatever the clock does between two swaps, and however much one carries."""
    last, now = None, NOON
    instants, seconds, positions = [], [], []
    for count, step in swaps:
        now += step
        changes = [Change(event=event(*P1), release=release(new_id())) for _ in range(count)]
        stamped, last = stamp_changes(changes, next_stamp(last, now))
        instants += [change.release.updated_at for change in stamped]
        positions += [change.release.position for change in stamped]
        seconds.append(last.second)
        assert all(change.release.modified_at == last.second for change in stamped)
    assert instants == sorted(set(instants))
    assert seconds == sorted(set(seconds))
    assert positions == list(range(1, len(positions) + 1))


def test_with_a_sound_clock_nothing_is_dated_in_the_future_but_for_what_one_swap_spreads() -> None:
    stamp = next_stamp(Stamp(NOON, 3, NOON), NOON + timedelta(seconds=5, microseconds=1999))
    assert stamp == Stamp(NOON + timedelta(seconds=5, milliseconds=1), 3, NOON + timedelta(seconds=5))


def test_a_correction_keeps_its_place_and_its_first_instant() -> None:
    known = dataclasses.replace(release(), position=2, published_at=NOON)
    stamp = Stamp(NOON + timedelta(hours=1), 7, NOON + timedelta(hours=1))
    [change], end = stamp_changes([Change(event=event(*C2), release=known, before=known)], stamp)
    assert (change.release.position, change.release.published_at, end.position) == (2, NOON, 7)
    assert change.release.updated_at == stamp.instant
    assert change.release.withdrawn_at is None
    [gone], _ = stamp_changes([Change(event=event(*W3), release=known, before=known)], stamp)
    assert gone.release.withdrawn_at == gone.release.updated_at == stamp.instant
