"""Documents that this process has handed out, ready for the next reader until another generation is out."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock

from service.model import Document
from service.representations import Representations

MOST_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Kept:
    """What stood at a path in generation ``generation``."""

    generation: int
    representations: Representations


class Memory:
    """At most so many bytes of documents; the one that was kept longest ago goes first.

    Each generation has those kept anew that are asked for, so those that nobody asks for are the oldest.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes, self._size_bytes = most_bytes, 0
        self._kept: dict[str, Kept] = {}
        self._lock = Lock()

    def find(self, path: str) -> Kept | None:
        """The last that was kept of it, of whichever generation."""
        return self._kept.get(path)

    def keep(self, generation: int, document: Document) -> Kept:
        """What a thread has read late takes no newer one's place."""
        kept = Kept(generation, Representations(document))
        with self._lock:
            before = self._kept.get(document.path)
            if before is None or before.generation <= generation:
                self._put(document.path, kept)
        return kept

    def _put(self, path: str, kept: Kept) -> None:
        if before := self._kept.pop(path, None):
            self._size_bytes -= before.representations.size_bytes
        self._kept[path] = kept
        self._size_bytes += kept.representations.size_bytes
        while self._size_bytes > self._most_bytes:
            self._size_bytes -= self._kept.pop(next(iter(self._kept))).representations.size_bytes
