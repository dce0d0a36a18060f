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
# There may be more feeds than threads.
MOST_EVER = 6


class Overloaded(DiglotError):
    """Too many ask for drawn documents of one feed at the same moment."""

    code = "overloaded"


class DrawingRoom:
    """How many documents this process draws at once, in all and of one feed; the sitemaps count as one more feed.

    When there are ``most``, a feed of which nothing is being drawn has a place still, until there are ``most_ever``.
    """

    def __init__(
        self, most: int = MOST_AT_ONCE, most_of_one: int = MOST_OF_ONE, most_ever: int = MOST_EVER
    ) -> None:
        self._most, self._most_of_one, self._most_ever = most, most_of_one, most_ever
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
                # Drops those that come to nothing: callers may name any feed.
                self._drawn -= Counter([feed])

    def _is_full(self, feed: str) -> bool:
        mine, total = self._drawn[feed], self._drawn.total()
        return total >= self._most_ever or (mine > 0 and (mine >= self._most_of_one or total >= self._most))
