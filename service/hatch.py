"""Documents handed out before Flask: by far the most requests are for a feed.

Promise: a reader who has seen a generation in one process is shown no older one by another. So every request
asks the database which generation is out, and whatever is of another one goes to Flask, which reads it anew.
With the database away Flask says so (503): a remembered document might be the half of a pair.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from typing import Any

from service.doorway import Receive, Send
from service.memory import Memory
from service.representations import SELECTING_FIELDS, Answer
from service.storage import GenerationWatch

# The event loop answers these, and longer fields take longer to parse than it has time for.
MOST_FIELD_BYTES = 1024

Asgi = Callable[[Any, Receive, Send], Awaitable[None]]
Headers = Collection[tuple[bytes, bytes]]
# What is answered if this number's generation is out.
Found = tuple[int, Answer]
# What a browser shows of a feed, Flask knows too.
_OF_BROWSER = (b"sec-fetch-dest", b"document")


class Hatch:
    """An ASGI 3 application that fills ``memory``, and what can be answered without it once ``watch`` was asked."""

    def __init__(self, app: Asgi, memory: Memory, watch: GenerationWatch) -> None:
        self._app, self._memory, self.watch = app, memory, watch

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)

    def find(self, method: bytes, target: bytes, headers: Headers) -> Found | None:
        """All as it came, but the headers' names in lower case. For None the application must be asked."""
        # No kept path has a query or escapes, whose meaning Flask knows.
        kept = self._memory.find(target.decode("latin-1"))
        if kept is None or method not in (b"GET", b"HEAD") or _OF_BROWSER in headers:
            return None
        fields = _selecting_fields(headers)
        if sum(map(len, fields.values())) > MOST_FIELD_BYTES:
            return None
        return kept.generation, kept.representations.answer(fields)


def _selecting_fields(headers: Headers) -> dict[bytes, bytes]:
    """A field that comes twice is one list (RFC 9110 section 5.3)."""
    fields: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in SELECTING_FIELDS:
            fields[name] = b"%s, %s" % (fields[name], value) if name in fields else value
    return fields
