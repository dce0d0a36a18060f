"""Flask behind ASGI, so that no slow client holds a thread.

WSGI servers read a body and write an answer from the thread that runs the application, and nothing can make that
thread give up: a few sockets that send or take nothing stop the whole service. Here the event loop waits for clients,
and a thread runs only from a whole request to the first bytes of its answer.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Hashable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from tempfile import SpooledTemporaryFile
from typing import IO, Any, NoReturn

from werkzeug.exceptions import (
    ClientDisconnected,
    HTTPException,
    RequestEntityTooLarge,
    RequestTimeout,
    ServiceUnavailable,
)

from service.wsgi import Application, Environ, call, make_environ

BODY_SECONDS = 15.0
# A body may take longer than that for as long as it comes at this rate.
LEAST_BYTES_PER_SECOND = 16 * 1024
# At once, for each caller; all that have no live key count as one.
MOST_BODIES = 32
IN_MEMORY_BYTES = 256 * 1024
# Threads of their own, so that no number of posts keeps a feed waiting.
READ_THREADS = 8
POST_THREADS = 4

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Doorway:
    """An ASGI 3 application over a WSGI one.

    The application gets a body whole; if it is too slow, too long or one too many of its caller's, reading it
    raises HTTP's 408, 413 or 503. ``find_caller`` takes the Authorization header and runs in a thread.
    """

    def __init__(
        self, app: Application, body_limit: int, find_caller: Callable[[str], Hashable],
        *, body_seconds: float = BODY_SECONDS,
    ) -> None:
        self._app, self._body_limit, self._body_seconds = app, body_limit, body_seconds
        self._find_caller = find_caller
        self._bodies: Counter[Hashable] = Counter()
        self._readers = ThreadPoolExecutor(READ_THREADS, "read")
        self._posters = ThreadPoolExecutor(POST_THREADS, "post")

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        environ = make_environ(scope)
        if _has_body(environ):
            await self._take(environ, receive, send)
        else:
            await self._answer(environ, self._readers, send)

    async def _take(self, environ: Environ, receive: Receive, send: Send) -> None:
        authorization = environ.get("HTTP_AUTHORIZATION", "")
        caller = await _in_thread(self._readers, self._find_caller, authorization)
        with SpooledTemporaryFile(IN_MEMORY_BYTES) as body:
            try:
                with self._count(caller):
                    length = await self._read(environ, receive, body)
                environ |= {"wsgi.input": body, "CONTENT_LENGTH": environ.get("CONTENT_LENGTH", str(length))}
                # The chunks are put together, and WSGI knows the length of a body without any.
                environ.pop("HTTP_TRANSFER_ENCODING", None)
            except ClientDisconnected:
                # What came may be the half of it, and nobody waits for an answer.
                return
            except HTTPException as refusal:
                environ |= {"wsgi.input": _Refused(refusal), "wsgi.input_terminated": True}
                send = partial(_send_last, send)
            await self._answer(environ, self._posters, send)

    @contextmanager
    def _count(self, caller: Hashable) -> Iterator[None]:
        if self._bodies[caller] >= MOST_BODIES:
            raise ServiceUnavailable
        self._bodies[caller] += 1
        try:
            yield
        finally:
            self._bodies[caller] -= 1
            if not self._bodies[caller]:
                del self._bodies[caller]

    async def _read(self, environ: Environ, receive: Receive, body: IO[bytes]) -> int:
        """The body's length."""
        declared = environ.get("CONTENT_LENGTH", "")
        if declared.isdecimal() and int(declared) > self._body_limit:
            raise RequestEntityTooLarge
        length, started, more = 0, asyncio.get_running_loop().time(), True
        try:
            async with asyncio.timeout(self._body_seconds) as patience:
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise ClientDisconnected
                    length += body.write(message.get("body", b""))
                    if length > self._body_limit:
                        raise RequestEntityTooLarge
                    more = message.get("more_body", False)
                    patience.reschedule(started + self._body_seconds + length / LEAST_BYTES_PER_SECOND)
        except TimeoutError:
            raise RequestTimeout from None
        body.seek(0)
        return length

    async def _answer(self, environ: Environ, threads: ThreadPoolExecutor, send: Send) -> None:
        answer = await _in_thread(threads, call, self._app, environ)
        try:
            await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
            piece, more = answer.first, not answer.is_whole
            while more:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
                piece = await _in_thread(threads, answer.next_piece)
                more = bool(piece)
            await send({"type": "http.response.body", "body": piece})
        finally:
            if not answer.is_whole:
                await _in_thread(threads, answer.close)


class _Refused:
    """A body that is not to be had."""

    def __init__(self, refusal: HTTPException) -> None:
        self._refusal = refusal

    def read(self, _size: int = -1) -> NoReturn:
        raise self._refusal


async def _send_last(send: Send, message: Message) -> None:
    """What is left of a refused body isn't waited for (RFC 9112 section 9.6)."""
    if message["type"] == "http.response.start":
        message = message | {"headers": [*message["headers"], (b"connection", b"close")]}
    await send(message)


def _has_body(environ: Environ) -> bool:
    return environ.get("CONTENT_LENGTH", "0") != "0" or "HTTP_TRANSFER_ENCODING" in environ


async def _in_thread(threads: ThreadPoolExecutor, run: Callable[..., Any], *arguments: Any) -> Any:
    return await asyncio.get_running_loop().run_in_executor(threads, run, *arguments)
