"""The courier's transactions: what came of a group of deliveries is recorded, and the next ones are claimed."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any

from service.clock import Clock
from service.errors import DiglotError
from service.exchanges import keep_body, keep_request, keep_response
from service.model import Attempt, Claim, Lane
from service.retries import CLAIM, LONG_CLAIM, decide
from service.storage import Storage, Transaction, claims, deliveries
from service.storage.claims import Held
from service.storage.outcomes import Outcome, Report, make_report, record_outcomes
from service.subscriptions import end_gone
from workers.flight import Result
from workers.outbound import Response

log = logging.getLogger(__name__)


class Ledger:
    """All that a courier reads and writes, in the name of its ``owner``."""

    def __init__(self, storage: Storage, owner: str, clock: Clock) -> None:
        self._storage, self._owner, self._clock = storage, owner, clock
        self._chance = random.SystemRandom()
        # The host of each lane's last claim.
        self._after: dict[Lane, str] = {}

    def record_and_claim(self, results: Sequence[Result], rooms: tuple[int, int]) -> list[Claim]:
        """In one transaction, that waits for the disk once; where a result breaks it, each result in its own.

        Up to so many first tries and so many retries are claimed. Raises StorageUnavailable: nothing is recorded.
        """
        try:
            held = self._record_and_hold(results, rooms)
        except DiglotError:
            raise
        except Exception:
            if not results:
                raise
            log.exception("results can't be recorded together")
            for result in results:
                self._record_alone(result)
            return []
        due = held.read() if held else []
        self._after |= {claim.lane: claim.host for claim in due}
        return due

    def _record_and_hold(self, results: Sequence[Result], rooms: tuple[int, int]) -> Held | None:
        report = make_report(self._judge(results), self._storage.engine.dialect)
        with self._storage.write() as tx:
            lost = self._record(tx, report)
            held = self._hold(tx, *rooms)
        for claim in lost:
            log.warning("delivery %s: a late result of a lost claim is refused", claim.delivery_id)
        return held

    def _record_alone(self, result: Result) -> None:
        try:
            self._record_and_hold([result], (0, 0))
        except DiglotError:
            raise
        except Exception:
            log.exception("delivery %s can't be recorded; its claim runs out by itself", result.claim.delivery_id)

    def _hold(self, tx: Transaction, first_room: int, retry_room: int) -> Held | None:
        if max(first_room, retry_room) <= 0:
            return None
        claims.take_turn(tx)
        now = self._clock()
        return claims.hold_due(
            tx, self._owner, limit=first_room, retry_limit=retry_room, now=now, until=now + CLAIM,
            slow_until=now + LONG_CLAIM, after=self._after,
        )

    def _judge(self, results: Sequence[Result]) -> Iterator[Outcome]:
        now = self._clock()
        for each in results:
            claim, response = each.claim, each.response
            decision = decide(claim.attempt - claim.tries_before, response.status, response.headers, now,
                              self._chance, heals=response.heals)
            yield Outcome(claim=claim, attempt=_attempt(each), state=decision.state,
                          next_attempt_at=decision.next_attempt_at, holds_until=decision.holds_until,
                          ends_subscription=decision.ends_subscription)

    def _record(self, tx: Transaction, report: Report) -> list[Claim]:
        """Returns those whose claim was lost meanwhile."""
        lost = record_outcomes(tx, report)
        ended = [each.claim for each in report.outcomes if each.ends_subscription and each not in lost]
        # In one order, for the planning reads them in this one, and might wait for us as we for it.
        for claim in sorted(ended, key=attrgetter("subscription_id")):
            self._end(tx, claim, self._clock())
        return [outcome.claim for outcome in lost]

    def _end(self, tx: Transaction, claim: Claim, now: datetime) -> None:
        if not end_gone(tx, claim.subscription_id, claim.callback, now):
            # The old callback said so, after it was changed; the new one is still to be asked.
            deliveries.send_anew(tx, claim.delivery_id, now)


def _attempt(result: Result) -> Attempt:
    response = result.response
    return Attempt(
        number=result.claim.attempt, started_at=result.ended_at - timedelta(milliseconds=response.duration_ms),
        duration_ms=response.duration_ms, status=response.status, error=response.error, **_keep_exchange(response),
    )


def _keep_exchange(response: Response) -> dict[str, Any]:
    came = response.status is not None
    return {
        "request_headers": keep_request(response.request.headers) if response.request else None,
        "response_headers": keep_response(response.headers) if came else None,
        "response_body": keep_body(response.body) if came else None,
    }
