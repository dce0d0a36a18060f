"""One call of a WSGI application (PEP 3333) from an ASGI connection scope."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_to_bytes

# An answer up to this size is made in one go.
AT_ONCE_BYTES = 64 * 1024

Environ = dict[str, Any]
Application = Callable[[Environ, Callable[..., Any]], Any]


def make_environ(scope: dict[str, Any]) -> Environ:
    """The environ of a request whose input is empty."""
    # Of a client that has gone already neither is known.
    (host, port), (client, _) = scope["server"] or ("", ""), scope["client"] or ("", "")
    environ: Environ = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(scope["raw_path"]).decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": host,
        "SERVER_PORT": str(port),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "REMOTE_ADDR": client,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for name, value in scope["headers"]:
        key = name.decode("latin-1").upper().replace("-", "_")
        key = key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"
        text = value.decode("latin-1")
        environ[key] = f"{environ[key]},{text}" if key in environ and key != "CONTENT_LENGTH" else text
    return environ


@dataclass(slots=True)
class Answer:
    """``first`` is its beginning; unless it ``is_whole``, `next_piece` has more and `close` must follow."""

    status: int = 500
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    first: bytes = b""
    is_whole: bool = False
    _result: Any = None
    _pieces: Iterator[bytes] = field(default_factory=lambda: iter(()))

    def start(self, status: str, headers: list[tuple[str, str]], _exc_info: object = None) -> None:
        """PEP 3333's `start_response`, for an application that never calls `write`."""
        self.status = int(status.split(" ", 1)[0])
        self.headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]

    def begin(self, result: Any) -> None:
        self._result, self._pieces = result, iter(result)
        pieces, size = [], 0
        while size < AT_ONCE_BYTES and (piece := self.next_piece()):
            pieces.append(piece)
            size += len(piece)
        self.first = b"".join(pieces)
        self.is_whole = size < AT_ONCE_BYTES or (b"content-length", b"%d" % size) in self.headers

    def next_piece(self) -> bytes:
        """Empty at the end."""
        return next(filter(None, self._pieces), b"")

    def close(self) -> None:
        if hasattr(self._result, "close"):
            self._result.close()


def call(app: Application, environ: Environ) -> Answer:
    """Run the application up to the first bytes of its answer, or to the end of a small one."""
    answer = Answer()
    answer.begin(app(environ, answer.start))
    if answer.is_whole:
        answer.close()
    return answer
