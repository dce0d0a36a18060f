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
    """Too many ask for drawn documents at the same moment. ``path`` is the one that was refused."""

    code = "overloaded"


class DrawingRoom:
    """How many documents this process draws at once, in all and of one path."""

    def __init__(self, most: int = MOST_AT_ONCE, most_of_one: int = MOST_OF_ONE) -> None:
        self._most, self._most_of_one = most, most_of_one
        self._drawn: Counter[str] = Counter()
        self._lock = Lock()

    @contextmanager
    def draw(self, path: str) -> Iterator[None]:
        """Hold a place while drawing. Raises Overloaded at once where there is none: waiting would hold a thread."""
        with self._lock:
            if self._drawn.total() >= self._most or self._drawn[path] >= self._most_of_one:
                raise Overloaded(path=path)
            self._drawn[path] += 1
        try:
            yield
        finally:
            with self._lock:
                self._drawn[path] -= 1
                # Paths come from outside and must not gather.
                self._drawn += Counter()
