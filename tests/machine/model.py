"""What a newsroom should show, told without a database: a few lists and one counter."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

LEGAL = {
    "draft": {"revise": "draft", "schedule": "scheduled", "publish": "published"},
    "scheduled": {
        "revise": "scheduled", "schedule": "scheduled", "unschedule": "draft", "publish": "published",
    },
    "published": {"revise": "corrected", "withdraw": "withdrawn"},
    "corrected": {"revise": "corrected", "withdraw": "withdrawn"},
    "withdrawn": {},
}
PUBLIC = ("published", "corrected")


@dataclass(frozen=True)
class Words:
    """One revision: language name to headline, the categories, and what readers are told of it."""

    headlines: dict[str, str]
    categories: tuple[str, ...]
    note: str | None = None


@dataclass
class Known:
    """One release. ``shown`` counts its public revision, ``turn`` orders the changes that readers saw.

    Those of one language saw the last of theirs in the turn that ``turns`` names.
    It was shown in the categories that it ``left``, and is no more.
    """

    id: str
    slug: str
    state: str
    revisions: list[Words]
    publish_at: datetime | None = None
    waiting: list[tuple[datetime, int]] = field(default_factory=list)
    shown: int | None = None
    first_shown: int | None = None
    turn: int = 0
    turns: dict[str, int] = field(default_factory=dict)
    position: int | None = None
    gone: bool = False
    successor: Known | None = None
    left: set[str] = field(default_factory=set)

    @property
    def words(self) -> Words:
        """What readers see."""
        assert self.shown
        return self.revisions[self.shown - 1]

    @property
    def changed(self) -> list[str]:
        """The languages in which a swap would change what readers see; what only a note tells of concerns all."""
        after = self.revisions[-1]
        names = list(after.headlines)
        if self.shown is None or self.state == "withdrawn" or self.words.categories != after.categories:
            return names
        return [name for name in names if after.headlines[name] != self.words.headlines[name]] or names

    @property
    def is_live(self) -> bool:
        return self.shown is not None and not self.gone


class Model:
    """``audit`` holds (action, slug, revision) in their order; ``to_plan`` the shown (release, revision, gone)."""

    def __init__(self) -> None:
        self.releases: list[Known] = []
        self.audit: list[tuple[str, str, int]] = []
        self.to_plan: list[tuple[Known, int, bool]] = []
        # By category, "" of all: what was ever shown there, in the order in which it came.
        self.slots: dict[str, list[Known]] = {"": []}
        self.position = self._turn = self._count = 0

    def move(self, release: Known, name: str) -> None:
        release.state = LEGAL[release.state][name]

    def note(self, action: str, release: Known, revision: int | None = None) -> None:
        self.audit.append((action, release.slug, revision or len(release.revisions)))

    def owe(self, release: Known, at: datetime) -> None:
        self._count += 1
        release.waiting.append((at, self._count))

    def due(self, now: datetime) -> list[Known]:
        """Scheduled releases whose time has come, in the order of their times."""
        found = [r for r in self.releases if r.state == "scheduled" and r.publish_at and r.publish_at <= now]
        return sorted(found, key=lambda release: (release.publish_at, release.id))

    def swap(self) -> int:
        """Show whatever waits; how many releases change for readers."""
        changed = sorted((r for r in self.releases if r.waiting), key=lambda release: min(release.waiting))
        return sum(self._show(release) for release in changed)

    def _show(self, release: Known) -> bool:
        release.waiting = []
        if release.state == "withdrawn" and not release.shown:
            return False
        self._turn += 1
        release.turn = self._turn
        release.turns |= dict.fromkeys(release.changed, self._turn)
        action = "correction_went_public" if release.shown else "went_public"
        if not release.shown:
            self.position += 1
            release.position = self.position
            release.first_shown = len(release.revisions)
        release.shown, release.gone = len(release.revisions), release.state == "withdrawn"
        self._settle(release)
        self.note("withdrawal_went_public" if release.gone else action, release)
        self.to_plan.append((release, release.shown, release.gone))
        return True

    def _settle(self, release: Known) -> None:
        """Where its categories say; and a withdrawal is told of wherever it ever was."""
        seen = {category for category, slots in self.slots.items() if release in slots}
        here = seen if release.gone else {"", *release.words.categories}
        for category in here:
            slots = self.slots.setdefault(category, [])
            if release not in slots:
                slots.append(release)
        release.left = {category for category, slots in self.slots.items() if release in slots} - here

    def live(self, name: str, category: str) -> list[Known]:
        """Newest change first."""
        found = [r for r in self.releases if r.is_live and (not category or category in r.words.categories)]
        return sorted(found, key=lambda release: -release.turns[name])

    def feed(self, name: str, category: str, most: int, archive_size: int) -> list[Known]:
        live = self.live(name, category)
        unarchived = self.slots.get(category, [])[self.archives(category, archive_size) * archive_size:]
        return live[:most] + [r for r in live[most:] if r in unarchived]

    def archives(self, category: str, size: int) -> int:
        return len(self.slots.get(category, [])) // size

    def stones(self, category: str, most: int) -> list[Known]:
        found = [r for r in self.slots.get(category, []) if r.gone]
        return sorted(found, key=lambda release: -release.turn)[:most]

    def archive(self, category: str, number: int, size: int) -> list[Known]:
        """The last that came first, the withdrawn among them."""
        held = self.slots[category][(number - 1) * size:number * size]
        return [release for release in reversed(held) if category not in release.left]

    def listed(self) -> list[Known]:
        return sorted((r for r in self.releases if r.is_live), key=lambda release: -(release.position or 0))
