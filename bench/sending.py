"""The service's own sending without a database: the limit of what recording costs."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta

from bench.receiver import partner_url
from service import signing
from service.clock import new_id, utc_now
from service.model import Channel, Claim, Secret
from service.networks import AllowedNetworks
from service.retries import FIRST_ROOM, MOST_IN_FLIGHT
from workers.flight import Flight, Result
from workers.outbound import Outbound


class Sender:
    """A courier's thread that sends; what it is given is claimed from nowhere, and what came of it is only counted."""

    def __init__(self) -> None:
        outbound = Outbound(AllowedNetworks.parse("127.0.0.0/8,::1/128"))
        self._flight = Flight(outbound, MOST_IN_FLIGHT, utc_now, self._land)
        self._left, self._landed = 0, threading.Condition()

    @contextmanager
    def running(self) -> Iterator[Sender]:
        self._flight.start()
        try:
            yield self
        finally:
            self._flight.close()

    def push(self, claims: Sequence[Claim]) -> float:
        """Pushes a second, as many under way as a courier has."""
        started, self._left = time.perf_counter(), len(claims)
        for begun in range(0, len(claims), FIRST_ROOM // 2):
            self._wait_for(len(claims) - begun + FIRST_ROOM // 2)
            self._flight.send(claims[begun:begun + FIRST_ROOM // 2])
        self._wait_for(0)
        return len(claims) / (time.perf_counter() - started)

    def _wait_for(self, left: int) -> None:
        with self._landed:
            self._landed.wait_for(lambda: self._left <= left)

    def _land(self, results: list[Result], late: int) -> None:
        assert not late
        assert all(result.response.status == 204 for result in results)
        with self._landed:
            self._left -= len(results)
            self._landed.notify()


def make_claims(receiver: int, count: int, body: bytes) -> list[Claim]:
    """So many partners' pushes of one body."""
    secret, until = Secret(signing.make_secret()), utc_now() + timedelta(hours=1)
    return [_make_claim(partner_url(receiver, number), secret, until, body) for number in range(count)]


def _make_claim(callback: str, secret: Secret, until: datetime, body: bytes) -> Claim:
    id = new_id()
    return Claim(
        delivery_id=id, subscription_id=id, owner="bench", attempt=1, until=until, message_id=f"msg_{id.hex}",
        channel=Channel.WEBHOOK, callback=callback, secret=secret, body=body, first_due_at=until,
    )
