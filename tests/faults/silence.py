"""Pushes to many names whose DNS says nothing, and one to a name whose DNS does; prints who was done with first.

Run by `tests.faults.test_silence`.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from dnslib import QTYPE, RR, DNSError
from dnslib.server import BaseResolver

from service.networks import AllowedNetworks
from tests.faults.namespace import PUBLIC, run_machine
from workers.outbound import Outbound, Request

SILENT = 60


class Silent(BaseResolver):
    def resolve(self, request: Any, handler: Any) -> Any:
        if str(request.q.qname).startswith("silent"):
            # It is noted, and nothing is sent.
            raise DNSError
        reply = request.reply()
        if request.q.qtype == QTYPE.A:
            reply.add_answer(*RR.fromZone(f"{request.q.qname} 0 IN A {PUBLIC}"))
        return reply


def push() -> list[Any]:
    outbound = Outbound(AllowedNetworks(), deadline_seconds=20)
    for number in range(SILENT):
        outbound.start(Request(f"http://silent{number}.example/", b"{}", {}), "silent")
    outbound.start(Request("http://quick.example/", b"{}", {}), "quick")
    while not (done := outbound.wait(1)):
        pass
    return [(who, response.status) for who, response in done]


if __name__ == "__main__":
    with run_machine(Silent()):
        json.dump(push(), sys.stdout)
