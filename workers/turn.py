"""Work that two threads of a process would do in vain at once."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Turn:
    """One thread has it; whoever comes meanwhile makes that one go round once more, and waits for nothing."""

    def __init__(self) -> None:
        self._wanted, self._taken = threading.Event(), threading.Lock()

    def take(self, work: Callable[[], None]) -> None:
        self._wanted.set()
        while self._wanted.is_set() and self._taken.acquire(blocking=False):
            try:
                self._wanted.clear()
                work()
            finally:
                self._taken.release()
