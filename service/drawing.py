"""Documents that are drawn on request must not keep the rest from being served."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from service.errors import DiglotError

# Of the eight threads of a web process half stay free for what is only handed out.
MOST_AT_ONCE = 4
MOST_OF_ONE = 2


class Overloaded(DiglotError):
    """Too many ask for drawn documents of one feed at the same moment."""

    code = "overloaded"


class DrawingRoom:
    """How many documents this process draws at once, in all and of one feed; the sitemaps count as one more feed."""

    def __init__(self, most: int = MOST_AT_ONCE, most_of_one: int = MOST_OF_ONE) -> None:
        self._most, self._most_of_one = most, most_of_one
        self._drawn: Counter[str] = Counter()
        self._lock = Lock()

    @contextmanager
    def draw(self, feed: str) -> Iterator[None]:
        """Hold a place while drawing. Raises Overloaded at once where there is none: waiting would hold a thread."""
        with self._lock:
            if self._is_full(feed):
                raise Overloaded
            self._drawn[feed] += 1
        try:
            yield
        finally:
            with self._lock:
                self._drawn[feed] -= 1

    def _is_full(self, feed: str) -> bool:
        """A feed of which nothing is being drawn has a place, however many ask for others."""
        mine = self._drawn[feed]
        return mine > 0 and (mine >= self._most_of_one or self._drawn.total() >= self._most)
