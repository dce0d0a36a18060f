"""The public side, compared with the model byte by byte between two swaps and sense by sense after each."""

from __future__ import annotations

from collections.abc import Sequence

from service.feeds import ARCHIVE_ENTRIES, entry_id
from tests.machine import readers
from tests.machine.model import Known, Model
from tests.machine.newsroom import TAGS, Newsroom


class Public:
    """``is_stale`` says that a swap was made since the last look; without one nothing may show, not by a byte."""

    def __init__(self, room: Newsroom, model: Model) -> None:
        self.room, self.model, self.is_stale = room, model, True
        self.seen: dict[str, readers.Answer] = {}
        self.instants: dict[str, str] = {}

    def check(self, watched: Sequence[Known]) -> None:
        """Raises AssertionError where readers get anything else than the model says."""
        if self.is_stale:
            self._check_all(watched)
            self.is_stale = False
            return
        for path in self._paths(watched):
            if path.endswith((".rss", ".json")):
                continue  # drawn together with the Atom feed
            answer = self._fetch(path)
            assert answer == self.seen.setdefault(path, answer), path
            assert answer.status != 404 or "no-store" in (answer.caching or ""), path

    def _fetch(self, path: str) -> readers.Answer:
        return readers.fetch(self.room.client, path)

    def _check_all(self, watched: Sequence[Known]) -> None:
        before, self.seen = self.seen, {path: self._fetch(path) for path in self._paths(watched)}
        for path, answer in self.seen.items():
            self._check_validators(path, before.get(path), answer)
        for name, tag in TAGS.items():
            for category in ("", *self.room.profile.categories):
                self._check_feed(name, tag, category)
                self._check_archives(name, tag, category)
            slugs = [known.slug for known in self.model.listed()][:25]
            assert readers.read_list(self.seen[f"/{name}/"]) == slugs
            for known in watched:
                self._check_page(name, known)

    def _check_validators(self, path: str, before: readers.Answer | None, answer: readers.Answer) -> None:
        if before is None or "/feeds/" not in path:
            return
        changed = before.body != answer.body
        assert (before.etag != answer.etag) is changed, path
        assert (before.modified != answer.modified) is changed, path
        assert not changed or (answer.modified or "") > (before.modified or ""), path
        if path.endswith(".atom") and "/archive/" not in path:
            updated = [readers.read(each, "atom").updated or "" for each in (before, answer)]
            assert (updated[1] > updated[0]) is changed, path

    def _check_feed(self, name: str, tag: str, category: str) -> None:
        most = self.room.profile.feed_entries
        expected = self.model.feed(name, category, most, ARCHIVE_ENTRIES)
        for format in ("atom", "rss", "json"):
            path = f"/feeds/{name}/{category}.{format}" if category else f"/feeds/{name}.{format}"
            shown = readers.read(self.seen[path], format)
            assert [(item.id, item.title) for item in shown.items] == [
                (entry_id(known.id, tag), known.words.headlines[name]) for known in expected
            ], path
            assert all(f"/{name}/releases/" in item.url for item in shown.items)
            self._check_instants(shown, path)
        stones = readers.read(self.seen[path.replace(".json", ".atom")], "atom").stones
        assert list(stones) == [entry_id(known.id, tag) for known in self.model.stones(category, most)], path

    def _check_instants(self, shown: readers.Shown, path: str) -> None:
        """`updated` grows with every change of an entry, and no two entries share one."""
        instants = [item.updated for item in shown.items if item.updated]
        assert instants == sorted(set(instants), reverse=True), path
        for item in shown.items:
            if item.updated:
                key = f"{item.id} {item.title}"
                others = [at for other, at in self.instants.items() if other.startswith(item.id) and other != key]
                assert all(at <= item.updated for at in others), path
                self.instants[key] = max(item.updated, self.instants.get(key, ""))

    def _check_page(self, name: str, known: Known) -> None:
        answer = self.seen[f"/{name}/releases/{known.slug}"]
        if known.is_live:
            headline, notes = readers.read_page(answer)
            assert (answer.status, headline) == (200, known.words.headlines[name])
            assert notes == list(reversed(_told(known, name))), known
        elif known.gone and known.successor and known.successor.shown:
            assert answer.status == 301
            assert answer.location == f"/{name}/releases/{known.successor.slug}"
        elif known.gone:
            assert answer.status == 410
            assert not any(words.headlines[name].encode() in answer.body for words in known.revisions)
        else:
            assert (answer.status, answer.caching) == (404, "no-store")

    def _check_archives(self, name: str, tag: str, category: str) -> None:
        feed, count = f"/feeds/{name}/{category}".rstrip("/"), self.model.archives(category, ARCHIVE_ENTRIES)
        assert self._fetch(f"{feed}/archive/{count + 1}.atom").status == 404
        for number in range(1, count + 1):
            self._check_archive(f"{feed}/archive/{number}", tag, self.model.archive(category, number, ARCHIVE_ENTRIES))

    def _check_archive(self, path: str, tag: str, held: Sequence[Known]) -> None:
        name = path.split("/")[2]
        for format in ("atom", "json"):
            shown = readers.read(self.seen[f"{path}.{format}"], format)
            assert [(item.id, item.title) for item in shown.items] == [
                (entry_id(known.id, tag), known.words.headlines[name]) for known in held if not known.gone
            ]
            if format == "atom":
                assert list(shown.stones) == [entry_id(known.id, tag) for known in held if known.gone]

    def _paths(self, watched: Sequence[Known]) -> list[str]:
        archives = [
            f"{category and '/'}{category}/archive/{number}" for category in ("", *self.room.profile.categories)
            for number in range(1, self.model.archives(category, ARCHIVE_ENTRIES) + 1)
        ]
        kinds = [f".{format}" for format in ("atom", "rss", "json")]
        feeds = [kind for each in self.room.profile.categories for kind in (f"/{each}{kind}" for kind in kinds)]
        feeds += kinds + [f"{archive}.{format}" for archive in archives for format in ("atom", "json")]
        pages = [f"/releases/{known.slug}" for known in watched]
        return [f"/feeds/{name}{feed}" for name in TAGS for feed in feeds] + [
            f"/{name}{page}" for name in TAGS for page in ("/", *pages)
        ]


def _told(known: Known, name: str) -> list[str]:
    """The notes, which are in English, that a page has: none of a correction that left its edition alone."""
    assert known.shown and known.first_shown
    told = []
    for number in range(known.first_shown, known.shown):
        before, words = known.revisions[number - 1:number + 1]
        left_alone = before.headlines != words.headlines and before.headlines[name] == words.headlines[name]
        if words.note and (name == "en" or not left_alone):
            told.append(words.note)
    return told
