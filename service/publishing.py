"""Accepted events made public: every feed, page and language swapped in one transaction."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from service import directory, feeds, hub
from service.audit import SERVICE, record
from service.changes import Change, Stamp, coalesce, next_stamp, stamp_changes
from service.clock import Clock
from service.config import Profile
from service.formats import FORMATS
from service.model import Document, Event, EventType, Release, Withdrawal
from service.shelves import Shelf, list_shelf, read_shelves
from service.slots import Slots, give_slots
from service.storage import Storage, Transaction, events, listings, releases
from service.storage import feeds as stored
from service.storage import slots as numbered
from service.storage.feeds import Generation

log = logging.getLogger(__name__)

# One swap takes the releases of this many events; the rest follow a second later.
BATCH = 200

# How the audit log calls what readers see from now on.
_ACTIONS = {
    EventType.RELEASE_PUBLISHED: "went_public",
    EventType.RELEASE_CORRECTED: "correction_went_public",
    EventType.RELEASE_WITHDRAWN: "withdrawal_went_public",
}


@dataclass(frozen=True, slots=True)
class Published:
    """``count`` events went public; what is still to do may be done after ``wait_seconds``."""

    count: int
    wait_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Snapshot:
    generation: Generation | None
    redraw: bool
    changes: Sequence[Change]
    dropped: Sequence[Event]
    slots: Slots
    shelves: Sequence[Shelf]
    known: dict[UUID, Release]
    withdrawals: Mapping[UUID, Withdrawal]
    documents: Sequence[Document]
    lists: Mapping[str, tuple[str, bytes]]
    paths: set[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Swap:
    generation: Generation
    slots: Slots
    documents: Sequence[Document]
    stale_paths: Sequence[str]
    updates: dict[tuple[str, str], datetime]
    shown: Sequence[Change]
    broken: Sequence[Change]
    broken_ids: set[UUID]
    dropped: Sequence[Event]


def publish_due(storage: Storage, profile: Profile, clock: Clock) -> Published:
    """Make public whatever is accepted, or say how long it has to wait.

    Several workers may call it at once: one of them swaps, the others find nothing left to do.
    """
    with storage.read() as tx:
        snapshot = _read_snapshot(tx, profile)
    if not (snapshot.redraw or snapshot.changes or snapshot.dropped):
        return Published(0)
    now = clock()
    last = snapshot.generation
    wait = feeds.wait_seconds(last.swapped_at if last else None, now)
    if wait:
        return Published(0, wait)
    swap = _plan_swap(snapshot, profile, now)
    with storage.write() as tx:
        if stored.advance_generation(tx, swap.generation):
            _write_swap(tx, swap, now)
            return Published(len(swap.shown))
    return Published(0, 1.0)


def _read_snapshot(tx: Transaction, profile: Profile) -> _Snapshot:
    generation = stored.find_generation(tx)
    redraw = generation is None or generation.digest != feeds.digest_of(profile)
    changes, dropped = _read_changes(tx)
    categories = {term for change in changes for term in change.categories}.union(profile.categories if redraw else ())
    last = numbered.find_last_numbers(tx, categories) | {listings.ALL: generation.position if generation else 0}
    slots = give_slots(changes, last)
    shelves = read_shelves(tx, profile, changes, redraw, slots)
    gone = {release_id for shelf in shelves for release_id, _ in shelf.withdrawn}
    known = releases.list_public(tx, {release_id for shelf in shelves for release_id in shelf.live})
    paths = [feeds.feed_path(shelf.language, shelf.category, name) for shelf in shelves for name in FORMATS]
    # They depend on nothing but the profile.
    lists = directory.render_lists(profile) if redraw else {}
    return _Snapshot(
        generation=generation, redraw=redraw, changes=changes, dropped=dropped, slots=slots, shelves=shelves,
        known={release.id: release for release in known},
        withdrawals=releases.list_withdrawals(tx, gone.union(change.release.id for change in changes)),
        documents=stored.list_documents(tx, [*paths, *lists]), lists=lists, paths=stored.list_paths(tx),
    )


def _read_changes(tx: Transaction) -> tuple[list[Change], list[Event]]:
    ids = {event.release_id for event in events.list_unpublished(tx, limit=BATCH) if event.release_id}
    # Whole lives: what is withdrawn further back in the queue must not go public at its front.
    waiting = events.list_unpublished_of(tx, ids)
    public = {release.id: release for release in releases.list_public(tx, ids)}
    shown, dropped = coalesce(waiting, public)
    numbers = numbered.list_numbers(tx, ids)
    changes = [
        Change(event=event, release=release, before=public.get(release.id), numbers=numbers[release.id])
        for event in shown
        if event.release_id and event.revision
        and (release := releases.find_revision(tx, event.release_id, event.revision))
    ]
    return changes, dropped


def _plan_swap(snapshot: _Snapshot, profile: Profile, now: datetime) -> _Swap:
    last = snapshot.generation
    begin = next_stamp(Stamp(last.published_at, last.position, last.swapped_at) if last else None, now)
    changes, end = stamp_changes(snapshot.changes, begin)
    shown = [
        replace(list_shelf(shelf, changes, snapshot.known, profile, end), withdrawals=snapshot.withdrawals)
        for shelf in snapshot.shelves
    ]
    rendered, broken = feeds.render_documents(profile, shown)
    rendered |= snapshot.lists
    generation = Generation(
        number=last.number + 1 if last else 1, digest=feeds.digest_of(profile),
        published_at=end.instant, position=end.position, swapped_at=end.second,
        redrawn_at=end.second if snapshot.redraw or not last else last.redrawn_at,
    )
    return _Swap(
        generation=generation, slots=snapshot.slots,
        documents=feeds.advertise(profile, feeds.swap_documents(rendered, snapshot.documents, end.second)),
        stale_paths=sorted(snapshot.paths - set(rendered)) if snapshot.redraw else (),
        updates={(listing.category, listing.language.tag): listing.updated for listing in shown},
        shown=[change for change in changes if change.release.id not in broken],
        broken=[change for change in changes if change.release.id in broken],
        broken_ids=broken, dropped=snapshot.dropped,
    )


def _write_swap(tx: Transaction, swap: _Swap, now: datetime) -> None:
    stored.replace_documents(tx, swap.documents)
    stored.remove_documents(tx, swap.stale_paths)
    hub.announce(tx, swap.documents, swap.generation.swapped_at, now)
    hub.retire_topics(tx, swap.stale_paths, now)
    releases.make_public(tx, [change.release for change in swap.shown])
    listed, second = [(change.release, change.listed_in) for change in swap.shown], swap.generation.swapped_at
    listings.replace_listings(tx, listed)
    numbered.insert_slots(tx, swap.slots.new, second)
    numbered.settle_slots(tx, listed, second)
    listings.keep_feed_updates(tx, swap.updates)
    events.mark_published(tx, [change.event for change in swap.shown], now)
    events.drop(tx, [event.id for event in swap.dropped], now)
    for change in swap.shown:
        record(tx, _ACTIONS[change.event.type], change.release, now, SERVICE)
    if swap.broken_ids:
        _set_aside(tx, swap, now)


def _set_aside(tx: Transaction, swap: _Swap, now: datetime) -> None:
    releases.set_aside(tx, swap.broken_ids, now, swap.generation.swapped_at)
    listings.remove_listings(tx, list(swap.broken_ids))
    events.set_aside(tx, [change.event.id for change in swap.broken], now)
    for change in swap.broken:
        record(tx, "set_aside", change.release, now, SERVICE)
