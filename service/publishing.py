"""Accepted releases made public: every feed, page and language swapped in one transaction."""

from __future__ import annotations

import dataclasses
import logging
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from service import feeds
from service.clock import Clock
from service.config import Profile
from service.model import Document, Event, Release
from service.storage import Storage, Transaction, events, releases
from service.storage import feeds as stored
from service.storage.feeds import Generation

log = logging.getLogger(__name__)

# One swap carries at most this many events; the rest follow a second later.
BATCH = 200
# `updated` of two releases must differ, or readers take one for the other.
TICK = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Published:
    """``count`` releases went public; what is still to do may be done after ``wait_seconds``."""

    count: int
    wait_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class _Snapshot:
    generation: Generation | None
    waiting: Sequence[tuple[Event, Release]]
    public: Sequence[Release]
    documents: Sequence[Document]


@dataclass(frozen=True, slots=True)
class _Swap:
    generation: Generation
    documents: Sequence[Document]
    shown: Sequence[tuple[Event, Release]]
    broken: Sequence[tuple[Event, Release]]
    broken_ids: set[uuid.UUID]


def publish_due(storage: Storage, profile: Profile, clock: Clock) -> Published:
    """Make public whatever is accepted, or say how long it has to wait.

    Several workers may call it at once: one of them swaps, the others find nothing left to do.
    """
    with storage.read() as tx:
        snapshot = _read_snapshot(tx, profile)
    generation = snapshot.generation
    if not snapshot.waiting and generation and generation.digest == feeds.digest_of(profile):
        return Published(0)
    now = clock()
    wait = feeds.wait_seconds(_last_swap(snapshot.documents), now)
    if wait:
        return Published(0, wait)
    swap = _plan_swap(snapshot, profile, now)
    with storage.write() as tx:
        if stored.advance_generation(tx, swap.generation):
            _write_swap(tx, swap, now)
            return Published(len(swap.shown))
    return Published(0, 1.0)


def _read_snapshot(tx: Transaction, profile: Profile) -> _Snapshot:
    waiting = [
        (event, release)
        for event in events.list_unpublished(tx, limit=BATCH)
        if event.release_id and (release := releases.find_release(tx, event.release_id))
    ]
    public = releases.list_public_releases(tx, limit=profile.feed_entries)
    return _Snapshot(stored.find_generation(tx), waiting, public, stored.list_documents(tx))


def _last_swap(documents: Sequence[Document]) -> datetime | None:
    return max((document.last_modified for document in documents), default=None)


def _plan_swap(snapshot: _Snapshot, profile: Profile, now: datetime) -> _Swap:
    last = snapshot.generation
    stamped = _stamp(snapshot.waiting, last.published_at if last else None, now)
    newest = [release for _, release in reversed(stamped)] + list(snapshot.public)
    updated = stamped[-1][1].updated_at if stamped else (last.published_at if last else _whole_ms(now))
    rendered, broken = feeds.render_documents(profile, newest, updated)
    return _Swap(
        generation=Generation(last.number + 1 if last else 1, feeds.digest_of(profile), updated),
        documents=feeds.swap_documents(rendered, snapshot.documents, now),
        shown=[pair for pair in stamped if pair[1].id not in broken],
        broken=[pair for pair in stamped if pair[1].id in broken],
        broken_ids=broken,
    )


def _stamp(
    waiting: Sequence[tuple[Event, Release]], last: datetime | None, now: datetime
) -> list[tuple[Event, Release]]:
    """Give each release an instant of its own, later than every one given before."""
    instant, stamped = last, []
    for event, release in waiting:
        instant = max(_whole_ms(now), instant + TICK) if instant else _whole_ms(now)
        published_at = release.published_at or instant
        stamped.append((event, dataclasses.replace(release, updated_at=instant, published_at=published_at)))
    return stamped


def _whole_ms(instant: datetime) -> datetime:
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)


def _write_swap(tx: Transaction, swap: _Swap, now: datetime) -> None:
    stored.replace_documents(tx, swap.documents)
    for _, release in swap.shown:
        releases.make_public(tx, release)
    events.mark_published(tx, [event.id for event, _ in swap.shown], now)
    if swap.broken_ids:
        releases.set_aside(tx, swap.broken_ids, now)
        events.set_aside(tx, [event.id for event, _ in swap.broken], now)
