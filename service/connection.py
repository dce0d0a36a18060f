"""One client's connection: uvicorn's, with an answer from memory before any task is begun, and bounds for the client.

A task for each request would cost more than to answer it. uvicorn bounds neither the time nor the size of a request's
head, nor the time that an answer may lie there, so few clients could hold all places or all memory.
"""

from __future__ import annotations

import socket
from asyncio import TimerHandle
from functools import partial
from typing import Any

from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from service.hatch import Found, Hatch
from service.representations import Answer

# A head, or the next request, is waited for twice as long at most; and for whoever takes nothing of an answer.
PATIENCE_SECONDS = 15
MOST_HEAD_BYTES = 64 * 1024
# Requests that wait on one connection for their predecessors' answers; who sends more is answered 400.
MOST_PIPELINED = 64
# In each process. Files, the database and whoever answers need places too, of the 1,024 that a system gives.
MOST_CONNECTIONS = 768

# Fields of a head; nobody honest comes near.
MOST_FIELDS = 100

_TOO_LONG = b"HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_TOO_MANY = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Connection(HttpToolsProtocol):
    """What uvicorn makes for each client; the application may be a `Hatch`, or any other of ASGI 3."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._hatch = self.app if isinstance(self.app, Hatch) else None
        # What is remembered for the request whose head has just come.
        self._found: Found | None = None
        # What is answered now; its successors wait in the pipeline.
        self._current: RequestResponseCycle | None = None
        # Since when a head, or what is missing of it, is waited for; None from its end to the answer's.
        self._waiting_since: float | None = None
        self._is_in_head, self._head_bytes = False, 0
        self._look_again: TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS:
            self._refuse(_TOO_MANY)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            # Who takes nothing of an answer for so long is gone (tcp(7)).
            transport.get_extra_info("socket").setsockopt(
                socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(2000 * PATIENCE_SECONDS)
            )
        self._wait_for_head()
        self._look_again = self.loop.call_later(PATIENCE_SECONDS, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._look_again:
            self._look_again.cancel()
        # By itself it tells only the last.
        for cycle in (self._current, *(cycle for cycle, _ in self.pipeline)):
            if cycle and not cycle.response_complete:
                cycle.disconnected = True
                cycle.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        headers = self.headers if self._is_in_head else None
        super().data_received(data)
        # Each head has a list of its own.
        if self._is_in_head and headers is self.headers:
            self._head_bytes += len(data)
            if self._head_bytes > MOST_HEAD_BYTES:
                self._refuse(_TOO_LONG)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._is_in_head, self._head_bytes = True, 0
        self._wait_for_head()

    def on_header(self, name: bytes, value: bytes) -> None:
        # What follows a body may not pass for a field of the head (RFC 9110 section 6.5.1).
        if self._is_in_head:
            if len(self.headers) >= MOST_FIELDS:
                self._refuse(_TOO_LONG)
                raise ValueError("a head of so many fields is an attack")
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if len(self.pipeline) >= MOST_PIPELINED:
            raise ValueError("so many requests at once are an attack")
        self._is_in_head, self._waiting_since = False, None
        if self.transport.is_closing():
            return
        self._found = self._find()
        if answer := self._recall():
            self._write(answer, is_head=self.parser.get_method() == b"HEAD")
            self._wait_for_head()
        else:
            super().on_headers_complete()
        self._found = None

    def on_body(self, body: bytes) -> None:
        if self.cycle:
            super().on_body(body)

    def on_message_complete(self) -> None:
        # There is no cycle for what was recalled.
        if self.cycle:
            super().on_message_complete()

    def on_response_complete(self) -> None:
        self._wait_for_head()
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        if self._is_answering():
            # It would be taken for that answer, or for a part of it.
            self.transport.close()
        elif not self.transport.is_closing():
            super().send_400_response(msg)

    def _unsupported_upgrade_warning(self) -> None:
        # The parser drops what came behind such a request, so nothing can follow it.
        self.shutdown()

    def _wait_for_head(self) -> None:
        self._waiting_since = self.loop.time()

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _look(self) -> None:
        """Now and then, for to set an alarm for each head takes longer than to answer it."""
        since = None if self._is_answering() else self._waiting_since
        if since is not None and self.loop.time() - since >= PATIENCE_SECONDS:
            # What was said last is left time to be taken.
            (self.transport.abort if self.transport.is_closing() else self.transport.close)()
        self._look_again = self.loop.call_later(PATIENCE_SECONDS, self._look)

    def _refuse(self, answer: bytes) -> None:
        if not self.transport.is_closing():
            if not self._is_answering():
                self.transport.write(answer)
            self.transport.close()

    def _find(self) -> Found | None:
        # Whoever doesn't take what was sent before has the next wait for it, as a task does.
        if self._hatch is None or self.flow.write_paused or self._is_answering():
            return None
        return self._hatch.find(self.parser.get_method(), self.url, self.headers)

    def _recall(self) -> Answer | None:
        if self._hatch is None or self._found is None or not self.parser.should_keep_alive():
            return None
        generation, answer = self._found
        is_out = self._hatch.watch.look() == generation
        return answer if is_out and self.parser.get_http_version() == "1.1" else None

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._current = cycle
        if self._hatch and self._found:
            self._hatch.watch.ask(partial(self._answer, cycle, app, *self._found))
        else:
            super()._start_asgi_task(cycle, app)

    def _answer(
        self, cycle: RequestResponseCycle, app: ASGI3Application, generation: int, answer: Answer, number: int | None
    ) -> None:
        if number != generation:
            super()._start_asgi_task(cycle, app)
        elif not self.transport.is_closing():
            self._write(answer, is_head=cycle.scope["method"] == "HEAD", is_last=not cycle.keep_alive)
            cycle.response_complete = True
            if self.pipeline or self.flow.read_paused:
                self.on_response_complete()
            else:
                self._wait_for_head()

    def _write(self, answer: Answer, *, is_head: bool, is_last: bool = False) -> None:
        ((_, date),) = self.server_state.default_headers
        head = answer.head + (b"connection: close\r\ndate: %s\r\n\r\n" if is_last else b"date: %s\r\n\r\n") % date
        if answer.body and not is_head:
            self.transport.writelines((head, answer.body))
        else:
            self.transport.write(head)
        if is_last:
            self.transport.close()
