"""The service's whole ASGI application, called as a WSGI test client calls Flask."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from flask.wrappers import Response
from werkzeug.datastructures import EnvironHeaders
from werkzeug.test import Client

from service.app import create_app
from service.doorway import Doorway
from service.edge import Services
from service.hatch import Hatch
from service.storage import GenerationWatch

Message = dict[str, Any]


class Served:
    """A WSGI application over the hatch. ``by_flask`` is whether the last request went on to Flask."""

    def __init__(self, services: Services, runner: asyncio.Runner) -> None:
        flask = Doorway(create_app(services), services.settings.max_body_bytes, lambda authorization: None)
        self.watch = services.storage.watch_generation()
        self._hatch = Hatch(flask, services.memory, self.watch)
        self._runner, self.by_flask = runner, False

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        if environ["REQUEST_METHOD"] in ("GET", "HEAD"):
            # A miss first, so that what the test sees is what was remembered.
            self._runner.run(self._answer(environ))
        status, headers, body = self._runner.run(self._answer(environ))
        start_response(f"{status} ", [(name.decode(), value.decode("latin-1")) for name, value in headers])
        return [body]

    async def _answer(self, environ: dict[str, Any]) -> tuple[int, Sequence[tuple[bytes, bytes]], bytes]:
        scope = make_scope(environ)
        target = b"?".join(filter(None, (scope["raw_path"], scope["query_string"])))
        found = self._hatch.find(scope["method"].encode(), target, scope["headers"])
        self.by_flask = found is None or found[0] != await ask(self.watch)
        if found is None or self.by_flask:
            return await self._ask_flask(scope, environ["wsgi.input"].read())
        _, answer = found
        return answer.status, answer.headers, b"" if scope["method"] == "HEAD" else answer.body

    async def _ask_flask(self, scope: Message, body: bytes) -> tuple[int, Sequence[tuple[bytes, bytes]], bytes]:
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Message) -> None:
            sent.append(message)

        await self._hatch(scope, receive, send)
        start, *rest = sent
        return start["status"], start["headers"], b"".join(message["body"] for message in rest)


async def ask(watch: GenerationWatch) -> int | None:
    """The number of the generation that is out."""
    told: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
    watch.ask(lambda number: told.done() or told.set_result(number))
    return await told


def make_scope(environ: dict[str, Any]) -> Message:
    headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in EnvironHeaders(environ)]
    path: str = environ["PATH_INFO"]
    return {
        "type": "http", "method": environ["REQUEST_METHOD"], "http_version": "1.1", "scheme": "http",
        "path": path, "raw_path": path.encode("latin-1"), "query_string": environ["QUERY_STRING"].encode("latin-1"),
        "headers": headers, "server": ("127.0.0.1", 8080), "client": ("127.0.0.1", 1),
    }


@contextmanager
def serve(services: Services) -> Iterator[tuple[Client, Served]]:
    with asyncio.Runner() as runner:
        served = Served(services, runner)
        yield Client(served, Response), served
        served.watch.close()
