"""The limit: an application that only says what it has by heart, in the web's own server.

`granian --interface asginl bench.answers:app`; what it says it fetches first, from BENCH_SOURCE.
"""

from __future__ import annotations

import asyncio
import os

import requests

from service.doorway import Message, Receive, Send
from service.handover import begin_at_once, work_in_turns

# The server writes them itself.
_OF_SERVER = ("date", "server")

Said = tuple[Message, Message]


def _learn(url: str, encoding: str) -> dict[tuple[bytes, bool], Said]:
    """What is said in one encoding, by whether the reader knows the document already."""
    whole = _fetch(url, {"Accept-Encoding": encoding})
    known = _fetch(url, {"Accept-Encoding": encoding, "If-None-Match": dict(whole[0]["headers"])[b"etag"].decode()})
    return {(encoding.encode(), False): whole, (encoding.encode(), True): known}


def _fetch(url: str, headers: dict[str, str]) -> Said:
    answer = requests.get(url, headers=headers, timeout=10, stream=True)
    fields = [
        (name.lower().encode(), value.encode()) for name, value in answer.headers.items()
        if name.lower() not in _OF_SERVER
    ]
    return (
        {"type": "http.response.start", "status": answer.status_code, "headers": fields},
        {"type": "http.response.body", "body": answer.raw.read()},
    )


_source = os.environ["BENCH_SOURCE"]
_said = _learn(_source, "identity") | _learn(_source, "gzip")


async def app(scope: Message, _receive: Receive, send: Send) -> None:
    fields = dict(scope["headers"])
    start, body = _said[fields.get(b"accept-encoding", b"identity"), b"if-none-match" in fields]
    await send(start)
    await send(body)


begin_at_once(asyncio.get_event_loop())
work_in_turns()
