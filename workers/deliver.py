"""The courier: one thread per worker process that sends what is due, to many partners at once."""

from __future__ import annotations

import dataclasses
import gc
import logging
import random
import resource
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from celery.signals import worker_shutdown

from service import queue
from service.clock import Clock, utc_now
from service.errors import DiglotError
from service.exchanges import keep_body, keep_request, keep_response
from service.model import Attempt, Claim, Lane
from service.retries import (
    ATTEMPT_SECONDS,
    CLAIM,
    FIRST_ROOM,
    LONG_ATTEMPT_SECONDS,
    LONG_CLAIM,
    MOMENT,
    MOST_IN_FLIGHT,
    RETRY_ROOM,
    decide,
)
from service.storage import Storage, Transaction, claims, deliveries
from service.storage.claims import Outcome
from service.subscriptions import end_subscription
from workers import context
from workers.app import app
from workers.channels import CHANNELS, Conversation
from workers.outbound import Mail, Outbound, Request, Response

log = logging.getLogger(__name__)

# How long the thread sleeps at most when nothing happens; a nudge wakes it at once.
IDLE_SECONDS = 1.0
# Results are recorded so many together, or after so long.
GROUP, GROUP_SECONDS = 128, 0.02
# Kept connections among them.
_FILES_BESIDE = 512


@dataclass(slots=True)
class Exchange:
    """A delivery under way: the conversation of its channel, and when it began (`time.monotonic`)."""

    claim: Claim
    conversation: Conversation
    began_at: float = field(default_factory=time.monotonic)
    duration_ms: int = 0

    @property
    def ends_at(self) -> float:
        return self.began_at + LONG_ATTEMPT_SECONDS.get(self.claim.channel, ATTEMPT_SECONDS)


class Courier:
    """Claims due deliveries, sends them outside any transaction, records what came of them.

    All state that matters is in the database: a courier that dies leaves claims that run out.
    """

    def __init__(self, storage: Storage, outbound: Outbound, owner: str, clock: Clock = utc_now) -> None:
        self._storage, self._outbound, self._owner, self._clock = storage, outbound, owner, clock
        self._chance = random.SystemRandom()
        self._most_in_flight = _make_room(MOST_IN_FLIGHT)
        self._nudged, self._stopping = threading.Event(), threading.Event()
        self._flying: dict[uuid.UUID, Exchange] = {}
        self._unrecorded: list[tuple[Claim, Response]] = []
        self._record_at = 0.0
        # The host of each lane's last claim.
        self._after: dict[Lane, str] = {}
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
        for exchange, response in self._outbound.wait(self._patience()):
            self._answer(exchange, response)
        if self._is_time():
            for claim in self._record_and_claim():
                self._start(claim)

    def _patience(self) -> float:
        if self._unrecorded:
            return max(0.0, self._record_at - time.monotonic())
        # In a moment, those who haven't answered give way to others.
        return MOMENT.total_seconds() if self._nudged.is_set() else IDLE_SECONDS

    def _is_time(self) -> bool:
        """A transaction for each result would cost more than the push."""
        if not self._unrecorded:
            return self._nudged.is_set() and not self._stopping.is_set()
        # A finished delivery frees its subscription for the next one.
        return len(self._unrecorded) >= GROUP or not self._flying or time.monotonic() >= self._record_at

    def _record_and_claim(self) -> list[Claim]:
        """In one transaction, that waits for the disk once; where a result breaks it, each result in its own."""
        finished = self._unrecorded
        try:
            with self._storage.write() as tx:
                lost = self._record(tx, finished)
                due = self._claim(tx)
        except DiglotError:
            raise
        except Exception:
            if not finished:
                raise
            log.exception("results can't be recorded together")
            lost = [claim for pair in finished for claim in self._record_alone(pair)]
            due = []
            self._nudged.set()
        self._unrecorded = []
        for claim in lost:
            log.warning("delivery %s: a late result of a lost claim is refused", claim.delivery_id)
        return due

    def _claim(self, tx: Transaction) -> list[Claim]:
        first_room, retry_room = self._rooms()
        if self._stopping.is_set() or max(first_room, retry_room) <= 0:
            return []
        self._nudged.clear()
        now = self._clock()
        due = claims.claim_due(
            tx, self._owner, limit=first_room, retry_limit=retry_room, now=now, until=now + CLAIM, after=self._after
        )
        if due:
            # There may be more, for which there is room in a moment.
            self._nudged.set()
        if slow := [claim for claim in due if claim.channel in LONG_ATTEMPT_SECONDS]:
            claims.hold_longer(tx, slow, now + LONG_CLAIM)
        self._after |= {claim.lane: claim.host for claim in due}
        return due

    def _rooms(self) -> tuple[int, int]:
        """How many first tries and how many retries may begin."""
        moment_ago = time.monotonic() - MOMENT.total_seconds()
        fresh = Counter(e.claim.lane.is_retry for e in self._flying.values() if e.began_at > moment_ago)
        room = self._most_in_flight - len(self._flying)
        return max(0, min(FIRST_ROOM - fresh[False], room)), max(0, min(RETRY_ROOM - fresh[True], room))

    def _start(self, claim: Claim) -> None:
        exchange = Exchange(claim, CHANNELS[claim.channel](claim, self._clock()))
        self._flying[claim.delivery_id] = exchange
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
        # A claim that ran out may be claimed anew by the same courier: both exchanges bear one id.
        self._flying.pop(exchange.claim.delivery_id, None)
        if not self._unrecorded:
            self._record_at = time.monotonic() + GROUP_SECONDS
        self._unrecorded.append((exchange.claim, dataclasses.replace(response, duration_ms=exchange.duration_ms)))

    def _record_alone(self, pair: tuple[Claim, Response]) -> list[Claim]:
        try:
            with self._storage.write() as tx:
                return self._record(tx, [pair])
        except DiglotError:
            raise
        except Exception:
            log.exception("delivery %s can't be recorded; its claim runs out by itself", pair[0].delivery_id)
            return []

    def _record(self, tx: Transaction, finished: Sequence[tuple[Claim, Response]]) -> list[Claim]:
        """Returns those whose claim was lost meanwhile."""
        if not finished:
            return []
        now = self._clock()
        decisions = [
            decide(claim.attempt - claim.tries_before, response.status, response.headers, now, self._chance,
                   heals=response.heals)
            for claim, response in finished
        ]
        outcomes = [
            Outcome(claim=claim, attempt=self._attempt(claim, response), state=decision.state,
                    next_attempt_at=decision.next_attempt_at, holds_until=decision.holds_until)
            for (claim, response), decision in zip(finished, decisions, strict=True)
        ]
        lost = claims.record_outcomes(tx, outcomes)
        for outcome, decision in zip(outcomes, decisions, strict=True):
            if decision.ends_subscription and outcome not in lost:
                self._end(tx, outcome.claim, now)
        return [outcome.claim for outcome in lost]

    def _end(self, tx: Transaction, claim: Claim, now: datetime) -> None:
        if not end_subscription(tx, claim.subscription_id, "gone", claim.callback):
            # The old callback said so, after it was changed; the new one is still to be asked.
            deliveries.send_anew(tx, claim.delivery_id, now)

    def _attempt(self, claim: Claim, response: Response) -> Attempt:
        started_at = self._clock() - timedelta(milliseconds=response.duration_ms)
        return Attempt(
            number=claim.attempt, started_at=started_at, duration_ms=response.duration_ms,
            status=response.status, error=response.error, **_keep_exchange(response),
        )


def _keep_exchange(response: Response) -> dict[str, Any]:
    came = response.status is not None
    return {
        "request_headers": keep_request(response.request.headers) if response.request else None,
        "response_headers": keep_response(response.headers) if came else None,
        "response_body": keep_body(response.body) if came else None,
    }


def _make_room(most: int) -> int:
    """How many sockets of so many this process may hold, beside files and connections of its own."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = most + _FILES_BESIDE
    if 0 <= soft < wanted:
        soft = wanted if hard < 0 else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return most if soft < 0 else min(most, max(soft - _FILES_BESIDE, 1))


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
            # What is loaded by now stays; to look through all of it for garbage took a third of a fan-out's time.
            gc.freeze()
            gc.set_threshold(20_000, 20, 100)
    _courier.nudge()


@worker_shutdown.connect
def finish(**_: Any) -> None:
    """Nothing that is in flight is lost by a warm stop."""
    if _courier is not None:
        _courier.stop()
