"""Pushes to names that turn, on a machine of the test's own; prints what came of them as JSON.

Run by `tests.faults.test_rebinding`; with a database's URL as its argument, by way of the courier.
"""

from __future__ import annotations

import json
import os
import sys
import uuid
from collections import Counter
from typing import Any

from dnslib import QTYPE, RR
from dnslib.server import BaseResolver

from service.model import Subscription
from service.networks import AllowedNetworks, find_callback_fault
from service.storage import Storage, deliveries
from service.storage.deliveries import message_id
from tests.conftest import VAULT, StoppedClock
from tests.faults.namespace import PUBLIC, UNREACHABLE, Everywhere, run_machine

EVERYTHING = AllowedNetworks.parse("0.0.0.0/0, ::/0")
# What a name first answers, and what it turns to: zone lines, of which a connection ends at the address named.
BEFORE = f"A {PUBLIC}"
TURNS = {
    "loopback": (["A 127.0.0.1"], "127.0.0.1"),
    "all-of-loopback": (["A 127.8.8.8"], "127.8.8.8"),
    "private": (["A 10.1.2.3"], "10.1.2.3"),
    "metadata": (["A 169.254.169.254"], "169.254.169.254"),
    "unspecified": (["A 0.0.0.0"], "127.0.0.1"),
    "loopback-6": (["AAAA ::1"], "::1"),
    "mapped": (["AAAA ::ffff:7f00:1"], "127.0.0.1"),
    "nat64": (["AAAA 64:ff9b::7f00:1"], "64:ff9b::7f00:1"),
    "6to4": (["AAAA 2002:7f00:1::1"], "2002:7f00:1::1"),
    "unique-local": (["AAAA fd00::1"], "fd00::1"),
    "alias": (["CNAME localhost.", "A 127.0.0.1"], "127.0.0.1"),
    "beside-one-that-is-down": ([f"A {UNREACHABLE}", "A 127.0.0.1"], "127.0.0.1"),
}


class Turning(BaseResolver):
    """Answers each first question for a name with a public address, and all later ones with what it turns to."""

    def __init__(self) -> None:
        self._asked: Counter[tuple[str, int]] = Counter()
        # For names that turn when the test says so.
        self.answers: dict[str, str] = {}

    def resolve(self, request: Any, handler: Any) -> Any:
        reply, owner = request.reply(), str(request.q.qname)
        for line in self._lines(owner.rstrip("."), request.q.qtype):
            for record in RR.fromZone(f"{owner} 0 IN {line}"):
                # An alias goes with every question, and what follows is of the name that it leads to.
                if record.rtype in (request.q.qtype, QTYPE.CNAME):
                    reply.add_answer(record)
                owner = str(record.rdata) if record.rtype == QTYPE.CNAME else owner
        return reply

    def _lines(self, name: str, kind: int) -> list[str]:
        self._asked[name, kind] += 1
        if name in self.answers:
            return [self.answers[name]]
        return [BEFORE] if self._asked[name, kind] == 1 else TURNS[name.split(".")[0]][0]


def push_twice(receiver: Everywhere, name: str, allowed: AllowedNetworks) -> list[Any]:
    """What came of each push and whom it reached; each from a process of its own, so that nothing is remembered."""
    from workers.outbound import Outbound, Request

    url, seen = f"http://{name}/", []
    assert find_callback_fault(url, AllowedNetworks()) is None, "a partner could not order it"
    for _ in range(2):
        outbound = Outbound(allowed, deadline_seconds=10)
        outbound.start(Request(url, b"{}", {}), None)
        [(_, response)] = outbound.wait(20)
        outbound.close()
        seen.append([response.status, response.error, receiver.take()[0]])
    return seen


def push_to_all(receiver: Everywhere) -> dict[str, Any]:
    return {
        name: {
            "guarded": push_twice(receiver, f"{name}.guarded.example", AllowedNetworks()),
            "open": push_twice(receiver, f"{name}.open.example", EVERYTHING),
        }
        for name in TURNS
    }


def deliver_over_turns(dns: Turning, receiver: Everywhere, database_url: str) -> list[Any]:
    """One subscription, owed something while its name is public, while it is ours, and while it is public again."""
    from service import subscriptions
    from service.deliveries import plan_test

    name, clock = "partner.example", StoppedClock()
    storage = Storage(database_url, vault=VAULT)
    order = {"partner": "P", "channel": "webhook", "callback": f"http://{name}/", "languages": ["en"]}
    subscription = subscriptions.subscribe(storage, order, clock())
    owed, seen = [], []
    for answer in (f"A {PUBLIC}", "A 127.0.0.1", f"A {PUBLIC}"):
        dns.answers[name] = answer
        if len(owed) < 2:
            owed.append(plan_test(storage, subscription, clock()).id)
        clock.advance(seconds=10)
        _work(storage, clock, subscription)
        seen.append({"came": receiver.take(), "deliveries": [_tell(storage, each) for each in owed]})
    storage.close()
    return seen


def _tell(storage: Storage, delivery_id: uuid.UUID) -> Any:
    with storage.read() as tx:
        delivery = deliveries.find_delivery(tx, delivery_id)
    assert delivery
    attempts = [(attempt.status, attempt.error) for attempt in delivery.attempts]
    return message_id(delivery_id), delivery.state, attempts


def _work(storage: Storage, clock: StoppedClock, subscription: Subscription) -> None:
    """A courier that is started, sends what is due and ends."""
    from tests.faults.processes import wait_until
    from workers.deliver import Courier
    from workers.outbound import Outbound

    def count_attempts() -> int:
        with storage.read() as tx:
            return int(tx.exec_driver_sql("SELECT count(*) FROM attempts").scalar_one())

    before = count_attempts()
    courier = Courier(storage, Outbound(AllowedNetworks()), "one of many", clock)
    courier.start()
    courier.nudge()
    wait_until(lambda: count_attempts() > before, "it was tried", seconds=30)
    courier.stop()


if __name__ == "__main__":
    os.environ["DIGLOT_REDIS_URL"] = "redis://127.0.0.1:1/0"
    dns = Turning()
    with run_machine(dns) as receiver:
        seen: Any = deliver_over_turns(dns, receiver, sys.argv[1]) if sys.argv[1:] else push_to_all(receiver)
    json.dump(seen, sys.stdout, default=str)
