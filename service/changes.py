"""What the next swap changes for readers: waiting events joined per release, and stamped. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from service.model import Event, EventType, Release

# `updated` of two releases must differ, or readers take one for the other.
TICK = timedelta(milliseconds=1)
SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One event and the release as it is to be shown; ``before`` is what readers have seen, if anything.

    They have ever seen it in the categories of ``numbers``, which are its numbers in their archives.
    """

    event: Event
    release: Release
    before: Release | None = None
    numbers: Mapping[str, int] = field(default_factory=dict)

    @property
    def withdraws(self) -> bool:
        return self.event.type is EventType.RELEASE_WITHDRAWN

    @property
    def languages(self) -> set[str]:
        """Of the feeds that change: where the release is, and where it was."""
        return {language for release in self._sides() for language in release.languages}

    @property
    def categories(self) -> set[str]:
        """Of the feeds that change, beside that of all releases."""
        seen = {category for release in self._sides() for category in release.categories}
        return set(self.numbers) if self.withdraws else seen

    @property
    def listed_in(self) -> tuple[str, ...]:
        """Whoever saw the release in a category is told there of its withdrawal, though it left before."""
        return tuple(self.numbers) if self.withdraws else self.release.categories

    def _sides(self) -> Iterable[Release]:
        return filter(None, (self.before, self.release))


@dataclass(frozen=True, slots=True)
class Stamp:
    """The last instant and position given, and the whole second of the swap: each only ever grows."""

    instant: datetime
    position: int
    second: datetime


def coalesce(waiting: Sequence[Event], public: Mapping[UUID, Release]) -> tuple[list[Event], list[Event]]:
    """The events to show, and those that came to nothing because a later one of the same release waits too.

    `public` holds the releases that readers know. One that they don't goes public at its newest revision,
    or not at all if it was withdrawn meanwhile.
    """
    shown, dropped = [], []
    for release_id in dict.fromkeys(event.release_id for event in waiting):
        events = sorted((event for event in waiting if event.release_id == release_id), key=_turn)
        kept = _kept(events, public.get(release_id) if release_id else None)
        if kept:
            shown.append(kept)
        dropped += [event for event in events if kept is None or event.id != kept.id]
    return shown, dropped


def _turn(event: Event) -> tuple[int, bool]:
    """What came before what in the life of one release; its clock may have been set back meanwhile."""
    return event.revision or 0, event.type is EventType.RELEASE_WITHDRAWN


def _kept(events: Sequence[Event], before: Release | None) -> Event | None:
    if before:
        return dataclasses.replace(events[-1], after_revision=before.revision)
    if events[-1].type is EventType.RELEASE_WITHDRAWN:
        return None
    return dataclasses.replace(events[0], type=EventType.RELEASE_PUBLISHED, revision=events[-1].revision)


def next_stamp(last: Stamp | None, now: datetime) -> Stamp:
    """Where the next swap begins; a clock that was set back doesn't take it back."""
    instant, second = whole_ms(now), now.replace(microsecond=0)
    if last is None:
        return Stamp(instant, 0, second)
    return Stamp(max(instant, last.instant + TICK), last.position, max(second, last.second + SECOND))


def stamp_changes(changes: Sequence[Change], stamp: Stamp) -> tuple[list[Change], Stamp]:
    """Give each release an instant of its own, and a position where it goes public for the first time."""
    stamped = []
    for change in changes:
        position = change.release.position or stamp.position + 1
        release = dataclasses.replace(
            change.release, updated_at=stamp.instant, modified_at=stamp.second, position=position,
            published_at=change.release.published_at or stamp.instant,
            withdrawn_at=stamp.instant if change.withdraws else None, edition_updates=_untouched(change),
        )
        stamped.append(dataclasses.replace(change, release=release))
        stamp = Stamp(stamp.instant + TICK, max(stamp.position, position), stamp.second)
    return stamped, dataclasses.replace(stamp, instant=stamp.instant - TICK) if stamped else stamp


def _untouched(change: Change) -> dict[str, datetime]:
    """The editions that a correction leaves as readers know them, and since when they are so.

    To move what they are dated by would show them in feed readers once more.
    """
    before, after = change.before, change.release
    if before is None or change.withdraws or _shared(before) != _shared(after):
        return {}
    same = [edition.language for edition in after.editions if edition == before.edition(edition.language)]
    # What changed elsewhere, as a note does, concerns them all.
    return {language: before.updated_in(language) for language in same} if len(same) < len(after.editions) else {}


def _shared(release: Release) -> tuple[object, ...]:
    # In which other languages there is one, each edition tells.
    return set(release.languages), release.categories, release.contacts, release.media


def whole_ms(instant: datetime) -> datetime:
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)
