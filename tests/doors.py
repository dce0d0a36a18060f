"""A small application behind a doorway, for the real server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flask import Flask, Response, request

from service.doorway import Doorway

LIMIT = 300_000
BIG_PIECES, PIECE = 200, b"x" * 65536

flask = Flask(__name__)


@flask.get("/")
def hello() -> str:
    return "ok"


@flask.get("/big")
def big() -> Response:
    def pieces() -> Iterator[bytes]:
        for _ in range(BIG_PIECES):
            yield PIECE

    return Response(pieces())


@flask.post("/")
def measure() -> dict[str, Any]:
    return {"length": len(request.get_data()), "path": request.path}


@flask.post("/<path:rest>")
def echo(rest: str) -> dict[str, Any]:
    return {"rest": rest, "query": request.args.get("q"), "header": request.headers.get("X-Twice")}


app = Doorway(flask, LIMIT, lambda authorization: authorization, body_seconds=1.0)
