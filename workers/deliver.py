"""The courier: one thread per worker process that sends what is due, to many partners at once."""

from __future__ import annotations

import dataclasses
import logging
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from celery.signals import worker_shutdown

from service import queue
from service.clock import Clock, utc_now
from service.deliveries import ATTEMPT_SECONDS, CLAIM, LONG_ATTEMPT_SECONDS, LONG_CLAIM, decide
from service.errors import DiglotError
from service.model import Attempt, Claim
from service.storage import Storage, claims
from service.storage.claims import Outcome
from service.subscriptions import end_subscription
from workers import context
from workers.app import app
from workers.channels import CHANNELS, Conversation
from workers.outbound import Mail, Outbound, Request, Response

log = logging.getLogger(__name__)

MOST_IN_FLIGHT = 256
# How long the thread sleeps at most when nothing happens; a nudge wakes it at once.
IDLE_SECONDS = 1.0


@dataclass(slots=True)
class Exchange:
    """A delivery under way: the conversation of its channel, and when it must be over (`time.monotonic`)."""

    claim: Claim
    conversation: Conversation
    ends_at: float
    duration_ms: int = 0


class Courier:
    """Claims due deliveries, sends them outside any transaction, records what came of them.

    All state that matters is in the database: a courier that dies leaves claims that run out.
    """

    def __init__(self, storage: Storage, outbound: Outbound, owner: str, clock: Clock = utc_now) -> None:
        self._storage, self._outbound, self._owner, self._clock = storage, outbound, owner, clock
        self._chance = random.SystemRandom()
        self._nudged, self._stopping = threading.Event(), threading.Event()
        self._unrecorded: list[tuple[Claim, Response]] = []
        self._thread = threading.Thread(target=self._run, name="courier", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def nudge(self) -> None:
        """Something may be due. Callable from any thread."""
        self._nudged.set()
        self._outbound.wake()

    def stop(self) -> None:
        """Claim nothing more; return when what is in flight is recorded."""
        self._stopping.set()
        self._outbound.wake()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set() or self._outbound.in_flight or self._unrecorded:
            try:
                self._turn()
            except DiglotError as error:
                # The next turn drives what is in flight before it asks again: that is pause enough.
                log.warning("the courier waits: %s", error)
                self._nudged.set()
            except Exception:
                log.exception("the courier stumbled")
                self._nudged.set()
                time.sleep(IDLE_SECONDS)
        self._outbound.close()

    def _turn(self) -> None:
        for exchange, response in self._outbound.wait(IDLE_SECONDS):
            self._answer(exchange, response)
        if self._unrecorded:
            self._record_finished()
            # A finished delivery frees its subscription for the next one.
            self._nudged.set()
        if self._nudged.is_set() and not self._stopping.is_set():
            self._start_due()

    def _start_due(self) -> None:
        free = MOST_IN_FLIGHT - self._outbound.in_flight
        if not free:
            return
        self._nudged.clear()
        now = self._clock()
        with self._storage.write() as tx:
            due = claims.claim_due(tx, self._owner, limit=free, now=now, until=now + CLAIM)
            if slow := [claim for claim in due if claim.channel in LONG_ATTEMPT_SECONDS]:
                claims.hold_longer(tx, slow, now + LONG_CLAIM)
        for claim in due:
            self._start(claim)

    def _start(self, claim: Claim) -> None:
        ends_at = time.monotonic() + LONG_ATTEMPT_SECONDS.get(claim.channel, ATTEMPT_SECONDS)
        exchange = Exchange(claim, CHANNELS[claim.channel](claim, self._clock()), ends_at)
        self._go_on(exchange, lambda: next(exchange.conversation))

    def _answer(self, exchange: Exchange, response: Response) -> None:
        exchange.duration_ms += response.duration_ms
        self._go_on(exchange, lambda: exchange.conversation.send(response))

    def _go_on(self, exchange: Exchange, step: Callable[[], Request | Mail]) -> None:
        try:
            self._outbound.start(step(), exchange, exchange.ends_at - time.monotonic())
        except StopIteration as end:
            self._finish(exchange, end.value)
        except Exception:
            # An attempt like any other: it keeps no other delivery, waits for its next try, and some day ends.
            log.exception("delivery %s can't be sent", exchange.claim.delivery_id)
            self._finish(exchange, Response(status=None, error="unsendable", duration_ms=0))
            self._outbound.wake()

    def _finish(self, exchange: Exchange, response: Response) -> None:
        self._unrecorded.append((exchange.claim, dataclasses.replace(response, duration_ms=exchange.duration_ms)))

    def _record_finished(self) -> None:
        """All in one transaction; where one of them breaks it, each in its own."""
        try:
            self._record(self._unrecorded)
        except DiglotError:
            raise
        except Exception:
            log.exception("results can't be recorded together")
            for pair in self._unrecorded:
                self._record_alone(pair)
        self._unrecorded = []

    def _record_alone(self, pair: tuple[Claim, Response]) -> None:
        try:
            self._record([pair])
        except DiglotError:
            raise
        except Exception:
            log.exception("delivery %s can't be recorded; its claim runs out by itself", pair[0].delivery_id)

    def _record(self, finished: Sequence[tuple[Claim, Response]]) -> None:
        now = self._clock()
        decisions = [
            decide(claim.attempt, response.status, response.headers, now, self._chance)
            for claim, response in finished
        ]
        outcomes = [
            Outcome(claim=claim, attempt=self._attempt(claim, response),
                    state=decision.state, next_attempt_at=decision.next_attempt_at)
            for (claim, response), decision in zip(finished, decisions, strict=True)
        ]
        with self._storage.write() as tx:
            lost = claims.record_outcomes(tx, outcomes)
            for outcome, decision in zip(outcomes, decisions, strict=True):
                if decision.ends_subscription and outcome not in lost:
                    end_subscription(tx, outcome.claim.subscription_id, "gone")
        for outcome in lost:
            log.warning("delivery %s: a late result of a lost claim is refused", outcome.claim.delivery_id)

    def _attempt(self, claim: Claim, response: Response) -> Attempt:
        started_at = self._clock() - timedelta(milliseconds=response.duration_ms)
        return Attempt(
            number=claim.attempt, started_at=started_at, duration_ms=response.duration_ms,
            status=response.status, error=response.error,
        )


_courier: Courier | None = None
_starting = threading.Lock()


@app.task(name=queue.DELIVER)
def deliver() -> None:
    """Wake this process's courier."""
    global _courier
    with _starting:
        if _courier is None:
            outbound = Outbound(context.settings().allowed_networks, mail=context.settings().mail)
            _courier = Courier(context.storage(), outbound, context.owner())
            _courier.start()
    _courier.nudge()


@worker_shutdown.connect
def finish(**_: Any) -> None:
    """Nothing that is in flight is lost by a warm stop."""
    if _courier is not None:
        _courier.stop()
