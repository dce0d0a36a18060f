"""The service's whole ASGI application, called as a WSGI test client calls Flask."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask.wrappers import Response
from werkzeug.datastructures import EnvironHeaders
from werkzeug.test import Client

from service.app import create_app
from service.doorway import Doorway
from service.edge import Services
from service.hatch import Asgi, Hatch

Message = dict[str, Any]


class Served:
    """A WSGI application over the hatch. ``by_flask`` is whether the last request went on to Flask."""

    def __init__(self, services: Services, runner: asyncio.Runner) -> None:
        self._flask = Doorway(create_app(services), services.settings.max_body_bytes, lambda authorization: None)
        self.watch = services.storage.watch_generation()
        self._hatch: Asgi = Hatch(self._pass_on, services.memory, self.watch)
        self._runner, self.by_flask = runner, False

    async def _pass_on(self, *connection: Any) -> None:
        self.by_flask = True
        await self._flask(*connection)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        if environ["REQUEST_METHOD"] in ("GET", "HEAD"):
            # A miss first, so that what the test sees is what was remembered.
            self._run(environ)
        self.by_flask = False
        start, *rest = self._run(environ)
        headers = [(name.decode(), value.decode("latin-1")) for name, value in start["headers"]]
        start_response(f"{start['status']} ", headers)
        return [message["body"] for message in rest]

    def _run(self, environ: dict[str, Any]) -> list[Message]:
        sent: list[Message] = []
        body = environ["wsgi.input"].read()

        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Message) -> None:
            sent.append(message)

        self._runner.run(self._hatch(make_scope(environ), receive, send))
        return sent


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
