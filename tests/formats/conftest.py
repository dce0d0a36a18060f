"""The sample wire's feeds, and a loopback server that serves every document of them."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from service.formats import FORMATS, render
from service.model import Feed
from tests.formats.sample import PATHS, make_feed


@pytest.fixture(params=PATHS)
def feed(request: pytest.FixtureRequest) -> Feed:
    """Each language's feed in turn."""
    return make_feed(request.param)


@pytest.fixture(scope="session")
def feeds() -> dict[str, Feed]:
    return {language: make_feed(language) for language in PATHS}


@pytest.fixture(scope="session")
def served(feeds: dict[str, Feed]) -> Iterator[str]:
    """The base URL of a loopback server with ``/zh.atom``, ``/en.json`` and so on."""
    documents = {
        f"/{PATHS[language]}.{format}": (media_type, render(feed, format))
        for language, feed in feeds.items()
        for format, media_type in FORMATS.items()
    }

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            media_type, body = documents[self.path]
            self.send_response(200)
            self.send_header("Content-Type", media_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Silent."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
