"""What one feed shows before and after a swap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from service.changes import Change, Stamp
from service.config import Language, Profile
from service.feeds import Listing
from service.model import Release
from service.slots import Slots
from service.storage import Transaction, listings
from service.storage import slots as numbered


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """What one feed shows before the swap: live releases in no order, withdrawals newest first.

    After it there are so many ``archives``, and of what it may show these are the ``unarchived``.
    """

    category: str
    language: Language
    live: Sequence[UUID]
    withdrawn: Sequence[tuple[UUID, datetime]]
    updated: datetime | None
    archives: int
    unarchived: set[UUID]


def read_shelves(
    tx: Transaction, profile: Profile, changes: Sequence[Change], redraw: bool, slots: Slots
) -> list[Shelf]:
    """The feeds that this swap may change."""
    languages = {tag for change in changes for tag in change.languages}
    categories = {category for change in changes for category in change.categories} | {listings.ALL}
    updates, more = listings.feed_updates(tx), len(changes)
    return [
        _read_shelf(tx, profile, category, language, slots, more, updates.get((category, language.tag)))
        for category in (listings.ALL, *profile.categories) for language in profile.languages
        if redraw or (language.tag in languages and category in categories)
    ]


def _read_shelf(
    tx: Transaction, profile: Profile, category: str, language: Language, slots: Slots, more: int,
    updated: datetime | None,
) -> Shelf:
    """With so many ``more`` as changes may take away."""
    # The current feed holds at least all that no archive does (RFC 5005 section 4).
    unarchived = set(numbered.ids_after(tx, category, language.tag, slots.archived(category)))
    newest = listings.newest_ids(tx, category, language.tag, limit=profile.feed_entries + more)
    return Shelf(
        category=category, language=language, live=sorted(unarchived.union(newest)),
        withdrawn=listings.newest_withdrawn(tx, category, language.tag, limit=profile.feed_entries), updated=updated,
        archives=slots.archives(category), unarchived=unarchived | slots.unarchived(category),
    )


def list_shelf(
    shelf: Shelf, changes: Sequence[Change], known: dict[UUID, Release], profile: Profile, end: Stamp
) -> Listing:
    """What the feed shows after the swap: the newest changes first, however old the release is."""
    most = profile.feed_entries
    here = [change for change in changes if _concerns(change, shelf)]
    changed = {change.release.id for change in here}
    live = [known[release_id] for release_id in shelf.live if release_id not in changed and release_id in known]
    live += [change.release for change in here if not change.withdraws and _belongs(change.release, shelf)]
    live.sort(key=lambda release: release.updated_in(shelf.language.tag), reverse=True)
    gone = [(change.release.id, change.release.updated_at) for change in reversed(here) if change.withdraws]
    unarchived = [release for release in live[most:] if release.id in shelf.unarchived]
    moments = [change.release.updated_in(shelf.language.tag) for change in here]
    return Listing(
        category=shelf.category, language=shelf.language, releases=live[:most] + unarchived,
        withdrawn=[*gone, *(pair for pair in shelf.withdrawn if pair[0] not in changed)][:most],
        updated=max([*moments, *filter(None, [shelf.updated])], default=end.instant), archives=shelf.archives,
    )


def _concerns(change: Change, shelf: Shelf) -> bool:
    if change.withdraws:
        return shelf.language.tag in change.languages and shelf.category in {listings.ALL, *change.numbers}
    return any(_belongs(side, shelf) for side in (change.before, change.release) if side)


def _belongs(release: Release, shelf: Shelf) -> bool:
    return shelf.language.tag in release.languages and (
        not shelf.category or shelf.category in release.categories
    )
