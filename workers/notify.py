"""Tells the owners of subscriptions what befell them by e-mail, where the operator set a mail server."""

from __future__ import annotations

import logging
import random
import threading
from datetime import datetime

from service import queue
from service.clock import Clock, utc_now
from service.config import Profile
from service.mail import MailServer, build_message
from service.model import DeliveryState, Notice
from service.networks import AllowedNetworks
from service.notices import find_recipient, write_notice
from service.retries import ATTEMPT_SECONDS, CLAIM, decide
from service.storage import Storage, notices
from workers import context
from workers.app import app
from workers.outbound import Mail, Outbound, Response

log = logging.getLogger(__name__)

# One batch; while more are due, the sweep wakes the next.
MOST_AT_ONCE = 16
_chance = random.SystemRandom()
# A mail server that hangs would else take a thread of this process with each sweep.
_turn = threading.Lock()


def tell_owners(storage: Storage, profile: Profile, server: MailServer, clock: Clock = utc_now) -> None:
    """Of what is due to be told."""
    now = clock()
    with storage.write() as tx:
        due = notices.claim_due(tx, limit=MOST_AT_ONCE, now=now, until=now + CLAIM)
    outbound = Outbound(AllowedNetworks(), deadline_seconds=ATTEMPT_SECONDS, mail=server)
    try:
        for notice in due:
            _start(outbound, notice, profile, server, storage)
        while outbound.in_flight:
            for notice, response in outbound.wait(1.0):
                _conclude(storage, notice, response, clock())
    finally:
        outbound.close()


def _start(outbound: Outbound, notice: Notice, profile: Profile, server: MailServer, storage: Storage) -> None:
    recipient = find_recipient(notice, profile)
    if recipient is None:
        with storage.write() as tx:
            notices.conclude(tx, notice, None, None)
        return
    subject, text = write_notice(notice, profile)
    # A repeat has the same id and date, by which it is known.
    message = build_message(
        server.sender, recipient, subject, text, message_id=f"notice.{notice.id.hex}", at=notice.created_at
    )
    outbound.start(Mail(server.sender.addr_spec, recipient, message), notice)


def _conclude(storage: Storage, notice: Notice, response: Response, now: datetime) -> None:
    decision = decide(notice.attempt, response.status, response.headers, now, _chance, heals=response.heals)
    is_told = decision.state is DeliveryState.DELIVERED
    if not is_told:
        log.warning("notice %s can't be mailed: %s", notice.id, response.error or response.status)
    with storage.write() as tx:
        if not notices.conclude(tx, notice, now if is_told else None, decision.next_attempt_at):
            log.warning("notice %s: a late result of a lost claim is refused", notice.id)


@app.task(name=queue.NOTIFY)
def notify() -> None:
    """Tell whoever is to be told, unless another thread is at it: what that one leaves, the sweep finds."""
    server = context.settings().mail
    if server is None or not _turn.acquire(blocking=False):
        return
    try:
        tell_owners(context.storage(), context.profile(), server)
    finally:
        _turn.release()
