"""What is in flight: the thread that turns claims into requests, and their answers into results."""

from __future__ import annotations

import dataclasses
import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from service.clock import Clock
from service.model import Claim, record
from service.retries import ATTEMPT_SECONDS, FIRST_ROOM, LONG_ATTEMPT_SECONDS, MOMENT, RETRY_ROOM
from workers.channels import CHANNELS, Conversation
from workers.outbound import Mail, Outbound, Request, Response

log = logging.getLogger(__name__)

# How long the thread sleeps at most when nothing happens.
IDLE_SECONDS = 1.0
# Begun in a row; what flies is looked after in between.
_BATCH = 32


@record()
class Result:
    """What a claim came to, and when."""

    claim: Claim
    response: Response
    ended_at: datetime


@dataclass(slots=True, eq=False)
class Exchange:
    """A delivery under way: once it has begun (`time.monotonic`), the conversation of its channel."""

    claim: Claim
    conversation: Conversation | None = None
    began_at: float | None = None
    ends_at: float = 0.0
    duration_ms: int = 0

    def begin(self, now: datetime) -> None:
        """No attempt outlives its claim: another courier would have begun the next one."""
        lasts = LONG_ATTEMPT_SECONDS.get(self.claim.channel, ATTEMPT_SECONDS)
        self.began_at = time.monotonic()
        self.ends_at = self.began_at + min(lasts, (self.claim.until - now).total_seconds())


class Flight:
    """Sends what it is given and hands the results to ``land``, from a thread of its own; at most ``most`` at once.

    What was given counts as in flight also while it hasn't begun. ``land`` is told too how many were over by then, of
    which there is no result.
    """

    def __init__(
        self, outbound: Outbound, most: int, clock: Clock, land: Callable[[list[Result], int], None]
    ) -> None:
        self._outbound, self._most, self._clock, self._land = outbound, most, clock, land
        self._waiting: deque[Exchange] = deque()
        self._flying: set[Exchange] = set()
        self._results: list[Result] = []
        self._late = 0
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="flight", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def send(self, claims: Iterable[Claim]) -> None:
        """Callable from any thread."""
        exchanges = [Exchange(claim) for claim in claims]
        self._flying.update(exchanges)
        self._waiting.extend(exchanges)
        self._outbound.wake()

    def rooms(self) -> tuple[int, int]:
        """How many first tries and how many retries may begin."""
        moment_ago = time.monotonic() - MOMENT.total_seconds()
        flying = self._flying.copy()
        fresh = Counter(
            each.claim.lane.is_retry for each in flying if each.began_at is None or each.began_at > moment_ago
        )
        room = self._most - len(flying)
        return max(0, min(FIRST_ROOM - fresh[False], room)), max(0, min(RETRY_ROOM - fresh[True], room))

    def close(self) -> None:
        """Abort whatever is left."""
        self._closing.set()
        self._outbound.wake()
        self._thread.join()

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                self._turn()
            except Exception:
                log.exception("the courier stumbled in flight")
                time.sleep(IDLE_SECONDS)
        self._outbound.close()

    def _turn(self) -> None:
        for exchange, response in self._outbound.wait(0.0 if self._waiting or self._results else IDLE_SECONDS):
            self._answer(exchange, response)
        for _ in range(min(_BATCH, len(self._waiting))):
            self._begin(self._waiting.popleft())
        if self._results or self._late:
            results, self._results = self._results, []
            late, self._late = self._late, 0
            self._land(results, late)

    def _begin(self, exchange: Exchange) -> None:
        now = self._clock()
        if now >= exchange.claim.until:
            # Frozen meanwhile: another courier has it by now, and what is newer may have gone.
            self._flying.discard(exchange)
            self._late += 1
            return
        exchange.begin(now)
        self._go_on(exchange, lambda: next(_converse(exchange, now)))

    def _answer(self, exchange: Exchange, response: Response) -> None:
        conversation = exchange.conversation
        assert conversation
        exchange.duration_ms += response.duration_ms
        self._go_on(exchange, lambda: conversation.send(response))

    def _go_on(self, exchange: Exchange, step: Callable[[], Request | Mail]) -> None:
        try:
            self._outbound.start(step(), exchange, exchange.ends_at - time.monotonic())
        except StopIteration as end:
            self._finish(exchange, end.value)
        except Exception:
            # An attempt like any other: it keeps no other delivery, waits for its next try, and some day ends.
            log.exception("delivery %s can't be sent", exchange.claim.delivery_id)
            self._finish(exchange, Response(status=None, error="unsendable", duration_ms=0))

    def _finish(self, exchange: Exchange, response: Response) -> None:
        if response.duration_ms != exchange.duration_ms:
            response = dataclasses.replace(response, duration_ms=exchange.duration_ms)
        self._flying.discard(exchange)
        self._results.append(Result(exchange.claim, response, self._clock()))


def _converse(exchange: Exchange, now: datetime) -> Conversation:
    exchange.conversation = CHANNELS[exchange.claim.channel](exchange.claim, now)
    return exchange.conversation
