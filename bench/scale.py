"""What one more release costs a newsroom with a hundred, ten thousand and a million behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.archive import load_releases
from bench.newsroom import Newsroom
from bench.programs import run_service, used_mb
from bench.report import Table, run_rounds
from service.config import load_profile
from service.feeds import ARCHIVE_ENTRIES
from service.storage import Storage
from tests.conftest import ROOT
from tests.faults.processes import wait_until
from tests.services.postgres import start_postgres

SIZES = (100, 10_000, 1_000_000)
ROUNDS = 15

Newsrooms = Mapping[str, Newsroom]


def run(sizes: Sequence[int] = SIZES) -> Iterator[Table]:
    """On each database all sizes side by side and in turn: what staff do, what readers fetch, what memory it took."""
    with TemporaryDirectory(prefix="bench-") as folder:
        yield from compare("SQLite", sizes, lambda size: f"sqlite:///{folder}/{size}.sqlite3")
    with start_postgres(durable=True) as server:
        yield from compare("PostgreSQL", sizes, lambda _: server.create_database())


def compare(database: str, sizes: Sequence[int], make_url: Callable[[int], str]) -> Iterator[Table]:
    with ExitStack() as stack:
        newsrooms = {
            f"{size:,} releases": stack.enter_context(run_newsroom(make_url(size), size)) for size in sizes
        }
        yield measure(database, "POST to visible in both languages", newsrooms, Newsroom.publish_ms)
        yield measure(database, "correction to visible in both languages", newsrooms, Newsroom.correct_ms)
        yield measure(database, "withdrawal to visible in both languages", newsrooms, Newsroom.withdraw_ms)
        yield measure(database, "the swap alone", newsrooms, Newsroom.swap_ms)
        for name, path in PAGES.items():
            for status in (200, 304):
                yield measure(
                    database, f"{name} answered {status}", newsrooms,
                    lambda newsroom, path=path, status=status: newsroom.get_ms(path(newsroom.size), status),
                )
        yield weigh(database, newsrooms)


PAGES: Mapping[str, Callable[[int], str]] = {
    "first archive": lambda size: "/feeds/zh/archive/1.atom",
    "last archive": lambda size: f"/feeds/zh/archive/{size // ARCHIVE_ENTRIES}.atom",
    "newest list page": lambda size: "/zh/",
    "oldest list page": lambda size: f"/zh/?before={ARCHIVE_ENTRIES + 1}",
    "first sitemap": lambda size: "/sitemaps/1.xml",
}


def measure(database: str, what: str, newsrooms: Newsrooms, act: Callable[[Newsroom], float]) -> Table:
    table = Table(title=f"{database}: {what}", unit="ms", digits=1, against=(next(iter(newsrooms)),))
    contestants = {name: partial(act, newsroom) for name, newsroom in newsrooms.items()}
    run_rounds(f"scale on {database}, {what}", ROUNDS, contestants, table)
    return table


def weigh(database: str, newsrooms: Newsrooms) -> Table:
    table = Table(title=f"{database}: memory after all that", unit="MB", against=())
    for name, newsroom in newsrooms.items():
        for program, pid in newsroom.service.pids().items():
            table.add(f"{program}, {name}", used_mb(pid))
    return table


@contextmanager
def run_newsroom(url: str, size: int) -> Iterator[Newsroom]:
    """Without beat, whose sweeps would swap what is being timed."""
    storage = Storage(url)
    storage.migrate()
    load_releases(storage, load_profile(ROOT / "newsroom.json"), size)
    storage.close()
    with TemporaryDirectory(prefix="bench-") as folder, run_service(Path(folder), url) as service:
        service.start("web", "worker")
        wait_until(lambda: service.get("/healthz")[0] == 200, "the web answers", service.read_logs)
        yield Newsroom(service, size)
