"""The sample wire's feeds, a whole newsroom's, and a loopback server for either."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from service.config import Profile, read_settings
from service.formats import FORMATS, render
from service.model import Feed
from service.storage import Storage
from tests.conftest import lend_database
from tests.formats.newsroom import Whole, build
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
    with serving({
        f"/{PATHS[language]}.{format}": render(feed, format)
        for language, feed in feeds.items()
        for format in FORMATS
    }) as base_url:
        yield base_url


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def whole(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, profile: Profile
) -> Iterator[Whole]:
    """The newsroom of 300 releases, built once on either database."""
    folder = tmp_path_factory.mktemp("whole")
    with lend_database(request, request.param, folder / "diglot.sqlite3") as url:
        storage = Storage(url)
        yield build(storage, profile, read_settings({"DIGLOT_DATA_DIR": str(folder), "DIGLOT_DATABASE_URL": url}))
        storage.close()


@contextmanager
def serving(documents: Mapping[str, bytes]) -> Iterator[str]:
    """Feed documents by path, each in the media type that its extension tells."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body, media_type = documents[self.path], FORMATS[self.path.rpartition(".")[2]]
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
