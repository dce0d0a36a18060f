"""Documents handed out before Flask and before the event loop: by far the most requests are for a feed.

Promise: a reader who has seen a generation in one process is shown no older one by another. So every request
asks the database which generation is out, and whatever is of another one goes to Flask, which reads it anew.
With the database away Flask says so (503): a remembered document might be the half of a pair.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

from service.doorway import Message, Receive, Send
from service.handover import reach_loop
from service.memory import Memory
from service.representations import SELECTING_FIELDS
from service.storage import GenerationWatch

# One thread begins all requests, and longer fields take longer to parse than it has time for.
MOST_FIELD_BYTES = 1024

Asgi = Callable[[Message, Receive, Send], Awaitable[None]]


class Hatch:
    """An ASGI 3 application over another, which fills ``memory``."""

    def __init__(self, app: Asgi, memory: Memory, watch: GenerationWatch) -> None:
        self._app, self._memory, self._watch = app, memory, watch

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        kept = self._memory.find(scope["path"])
        fields = _selecting_fields(scope["headers"]) if kept else {}
        if kept is None or not _is_plain(scope, fields) or kept.generation != await self._watch.find_number():
            await reach_loop()
            await self._app(scope, receive, send)
        else:
            answer = kept.representations.answer(fields)
            await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
            await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else answer.body})


def _is_plain(scope: Message, fields: dict[bytes, bytes]) -> bool:
    """What a query means, and what a browser shows of a feed, Flask knows."""
    return (
        scope["method"] in ("GET", "HEAD") and not scope["query_string"] and _is_short(fields)
        and (b"sec-fetch-dest", b"document") not in scope["headers"]
    )


def _is_short(fields: dict[bytes, bytes]) -> bool:
    return sum(map(len, fields.values())) <= MOST_FIELD_BYTES


def _selecting_fields(headers: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """A field that comes twice is one list (RFC 9110 section 5.3)."""
    fields: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in SELECTING_FIELDS:
            fields[name] = b"%s, %s" % (fields[name], value) if name in fields else value
    return fields
