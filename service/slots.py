"""Which number a release has in the archives of each feed it is in, counted from the oldest, 1. Pure.

In the feed of all releases it is the release's position. Each category counts for itself, or most of its archives
would be all but empty.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from service.changes import Change
from service.feeds import ARCHIVE_ENTRIES
from service.storage.listings import ALL

# A category and a release in it.
Key = tuple[str, UUID]


@dataclass(frozen=True, slots=True, kw_only=True)
class Slots:
    """After a swap: the ``numbers`` of what it changes, ``new`` ones among them, and the ``last`` of each category.

    Those of all releases are given as positions, by `service.changes`, in the same order.
    """

    numbers: Mapping[Key, int]
    new: Mapping[Key, int]
    last: Mapping[str, int]

    def archives(self, category: str) -> int:
        """How many are complete."""
        return self.last.get(category, 0) // ARCHIVE_ENTRIES

    def archived(self, category: str) -> int:
        """The last number that an archive holds."""
        return self.archives(category) * ARCHIVE_ENTRIES

    def unarchived(self, category: str) -> set[UUID]:
        """Of what the swap changes."""
        last = self.archived(category)
        return {
            release_id for (term, release_id), number in self.numbers.items() if term == category and number > last
        }


def give_slots(changes: Sequence[Change], last: Mapping[str, int]) -> Slots:
    """A number for each release in each category where it has none yet; it keeps it for ever, wherever it goes.

    A withdrawal brings a release nowhere: a category that never showed it has nothing to take back.
    """
    held, counted = _numbers_of(changes), dict(last)
    new: dict[Key, int] = {}
    for change in changes:
        for category in () if change.withdraws else (ALL, *change.release.categories):
            key = category, change.release.id
            if key not in held and key not in new:
                counted[category] = new[key] = counted.get(category, 0) + 1
    return Slots(numbers=held | new, new=new, last=counted)


def _numbers_of(changes: Sequence[Change]) -> dict[Key, int]:
    positions = {(ALL, change.release.id): change.release.position for change in changes}
    numbers = {(term, change.release.id): number for change in changes for term, number in change.numbers.items()}
    return numbers | {key: position for key, position in positions.items() if position}
