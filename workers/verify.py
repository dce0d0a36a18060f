"""Asks WebSub callbacks whether they want what somebody says they want."""

from __future__ import annotations

import logging
import random
import secrets
import time
from datetime import timedelta

from service import queue
from service.clock import Clock, utc_now
from service.config import VERSION, Profile
from service.hub import settle_intent
from service.model import Intent
from service.storage import Storage
from service.storage.websub import claim_intents
from service.websub import judge, question
from workers import context
from workers.app import app
from workers.outbound import Outbound, Request, Response
from workers.turn import Turn

log = logging.getLogger(__name__)

MOST_IN_FLIGHT = 256
DEADLINE_SECONDS = 10.0
# Longer than a question may last, so that a live worker's claim never runs out.
CLAIM = timedelta(seconds=20)
# A task that ran on and on would hold up a stop; the sweep wakes the next one.
RUN_SECONDS = 20.0

# Two at once in a process would ask no more than one does.
_turn = Turn()


class Verifier:
    """Asks many callbacks at once, one of each host; whoever hangs holds up its own host alone."""

    def __init__(
        self, storage: Storage, profile: Profile, outbound: Outbound, owner: str, clock: Clock = utc_now
    ) -> None:
        self._storage, self._profile, self._outbound = storage, profile, outbound
        self._owner, self._clock = owner, clock
        self._chance = random.SystemRandom()

    def run(self) -> None:
        """Until nobody is left to be asked, or the time is over."""
        ends_at = time.monotonic() + RUN_SECONDS
        while self._ask_due(ends_at) or self._outbound.in_flight:
            for (intent, challenge), response in self._outbound.wait(1.0):
                self._settle(intent, challenge, response)

    def _ask_due(self, ends_at: float) -> int:
        free = MOST_IN_FLIGHT - self._outbound.in_flight
        if not free or time.monotonic() >= ends_at:
            return 0
        now = self._clock()
        with self._storage.write() as tx:
            due = claim_intents(tx, self._owner, limit=free, now=now, until=now + CLAIM)
        for intent in due:
            challenge = secrets.token_urlsafe(32)
            url = question(intent, self._profile.base_url, challenge)
            self._outbound.start(
                Request(url, b"", {"user-agent": f"Diglot/{VERSION}"}, method="GET"), (intent, challenge)
            )
        return len(due)

    def _settle(self, intent: Intent, challenge: str, response: Response) -> None:
        now = self._clock()
        state, again_at = judge(intent, response.status, response.body, challenge, now, self._chance)
        try:
            kept = settle_intent(self._storage, self._profile, intent, state, again_at, now)
        except Exception:
            # The others go on; this one's claim runs out, and it is asked again.
            log.exception("what came of intent %s can't be kept", intent.id)
            return
        if not kept:
            log.warning("intent %s: a late result of a lost claim is refused", intent.id)


@app.task(name=queue.VERIFY)
def verify() -> None:
    """Ask whoever is to be asked. Where another thread is at it already, that one looks once more."""
    _turn.take(_verify)


def _verify() -> None:
    outbound = Outbound(context.settings().allowed_networks, deadline_seconds=DEADLINE_SECONDS)
    try:
        Verifier(context.storage(), context.profile(), outbound, context.owner()).run()
    finally:
        outbound.close()
