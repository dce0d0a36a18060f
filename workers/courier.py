"""The courier of a worker process: one thread sends to many partners at once, another records and claims."""

from __future__ import annotations

import logging
import math
import threading
import time

from service.clock import Clock, utc_now
from service.errors import DiglotError
from service.retries import MOMENT, MOST_IN_FLIGHT
from service.storage import Storage
from workers.flight import IDLE_SECONDS, Flight, Result
from workers.ledger import Ledger
from workers.outbound import Outbound

log = logging.getLogger(__name__)

# Results are recorded so many together, or after so long: a transaction for each would cost more than the push.
GROUP, GROUP_SECONDS = 512, 0.1


class Courier:
    """Claims due deliveries, sends them outside any transaction, records what came of them.

    While a group is recorded and the next one claimed, the others fly. All state that matters is in the database: a
    courier that dies leaves claims that run out.
    """

    def __init__(
        self, storage: Storage, outbound: Outbound, owner: str, clock: Clock = utc_now, most: int = MOST_IN_FLIGHT
    ) -> None:
        self._ledger = Ledger(storage, owner, clock)
        self._flight = Flight(outbound, most, clock, self._land)
        self._stopping = threading.Event()
        # Guards what follows, and tells of it.
        self._changed = threading.Condition()
        self._unrecorded: list[Result] = []
        # Of what was claimed, how many are not on record yet.
        self._open = 0
        # When the next transaction is due, unless there is a group before (`time.monotonic`).
        self._due_at = math.inf
        self._thread = threading.Thread(target=self._run, name="courier", daemon=True)

    def start(self) -> None:
        self._flight.start()
        self._thread.start()

    def nudge(self) -> None:
        """Something may be due. Callable from any thread."""
        with self._changed:
            self._due_at = 0.0
            self._changed.notify()

    def stop(self) -> None:
        """Claim nothing more; return when what is in flight is recorded."""
        self._stopping.set()
        self.nudge()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set() or self._open:
            try:
                self._turn()
            except DiglotError as error:
                log.warning("the courier waits: %s", error)
                self._pause(MOMENT.total_seconds())
            except Exception:
                log.exception("the courier stumbled")
                self._pause(IDLE_SECONDS)
        self._flight.close()

    def _pause(self, seconds: float) -> None:
        """What was to be done still is; what flies goes on meanwhile."""
        time.sleep(seconds)
        self.nudge()

    def _turn(self) -> None:
        if (results := self._await_work()) is None:
            return
        rooms = (0, 0) if self._stopping.is_set() else self._flight.rooms()
        try:
            claims = self._ledger.record_and_claim(results, rooms)
        except BaseException:
            self._take_back(results)
            raise
        with self._changed:
            self._open += len(claims) - len(results)
            if claims:
                # There may be more, for which there is room in a moment.
                self._due_at = min(self._due_at, time.monotonic() + MOMENT.total_seconds())
        self._flight.send(claims)

    def _await_work(self) -> list[Result] | None:
        """What is to be recorded, if anything, before more is claimed; None if it isn't time yet."""
        with self._changed:
            if not self._changed.wait_for(self._is_time, self._patience()):
                return None
            # Before the claim: whoever nudges from now on may come too late for it.
            self._due_at = math.inf
            results, self._unrecorded = self._unrecorded, []
            return results

    def _is_time(self) -> bool:
        is_group = len(self._unrecorded) >= GROUP or 0 < len(self._unrecorded) == self._open
        return is_group or time.monotonic() >= self._due_at

    def _patience(self) -> float:
        return max(0.0, min(self._due_at - time.monotonic(), IDLE_SECONDS))

    def _land(self, results: list[Result], late: int) -> None:
        """Of the flight's thread."""
        with self._changed:
            is_first = bool(results) and not self._unrecorded
            self._unrecorded += results
            self._open -= late
            if is_first:
                self._due_at = min(self._due_at, time.monotonic() + GROUP_SECONDS)
            if is_first or late or self._is_time():
                self._changed.notify()

    def _take_back(self, results: list[Result]) -> None:
        with self._changed:
            self._unrecorded = results + self._unrecorded
