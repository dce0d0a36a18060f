"""What it costs partners that a tenth of them hang or drip: the time until the healthy ones have a release."""

from __future__ import annotations

import asyncio
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from bench import samples
from bench.archive import analyse
from bench.receiver import HOSTS, run_receiver
from bench.report import Table, run_rounds
from service import signing
from service.clock import new_id, utc_now
from service.config import load_profile
from service.model import Channel, Subscription, SubscriptionState
from service.publishing import publish_due
from service.queue import Queue
from service.storage import Storage, subscriptions
from service.storage.tables import deliveries
from tests.faults.processes import Service, run_service, wait_until
from tests.services.postgres import start_postgres

PARTNERS, LAGGARDS = 10_000, 1_000
ROUNDS = 3
# Two laggards on each.
BAD_HOSTS = [f"127.0.{1 + number // 250}.{1 + number % 250}" for number in range(LAGGARDS // 2)]


def run() -> Iterator[Table]:
    """Each time a new database and a new worker, so that nobody knows yet who hangs."""
    with ExitStack() as stack:
        receiver = stack.enter_context(run_receiver())
        stack.enter_context(run_laggards(receiver))
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-"))
        server = stack.enter_context(start_postgres(durable=True))
        makers: dict[str, Callable[[], str]] = {
            "SQLite": lambda: f"sqlite:///{folder}/{new_id()}.sqlite3", "PostgreSQL": server.create_database,
        }
        for name, make_url in makers.items():
            title = f"{name}: until 99 in 100 of the healthy among {PARTNERS:,} partners have a release"
            table = Table(title=title, unit="s", digits=2, against=("all are healthy",))
            contestants = {
                "all are healthy": partial(fan_out, make_url, receiver, 0),
                f"{LAGGARDS:,} hang or drip": partial(fan_out, make_url, receiver, LAGGARDS),
            }
            run_rounds(f"isolation on {name}", ROUNDS, contestants, table)
            yield table


class Laggard(asyncio.Protocol):
    """Of those who connect, every second hears nothing, and the others a byte a second."""

    count = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        Laggard.count += 1
        if Laggard.count % 2:
            self._drip(transport)

    def _drip(self, transport: Any) -> None:
        if not transport.is_closing():
            transport.write(b"H")
            asyncio.get_running_loop().call_later(1, self._drip, transport)


@contextmanager
def run_laggards(port: int) -> Iterator[None]:
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(loop.create_server(Laggard, BAD_HOSTS, port, backlog=1024))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        server.close()
        loop.close()


def fan_out(make_url: Callable[[], str], receiver: int, laggards: int) -> float:
    """Seconds from the nudge until 99 in 100 of the healthy have it."""
    url = make_url()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, run_service(Path(folder), url) as service:
        healthy = load_subscriptions(service.storage, receiver, laggards)
        service.start("worker")
        return push(service, healthy)


def load_subscriptions(storage: Storage, port: int, laggards: int) -> int:
    """The laggards among the others; returns how many are healthy."""
    with storage.write() as tx:
        for number in range(PARTNERS):
            is_bad = laggards and number % (PARTNERS // laggards) == 0
            hosts = BAD_HOSTS if is_bad else HOSTS
            host = hosts[number // (PARTNERS // LAGGARDS) % len(hosts)]
            subscriptions.insert_subscription(tx, Subscription(
                id=new_id(), partner=f"P{number}", channel=Channel.WEBHOOK, created_at=utc_now(),
                callback=f"http://{host}:{port}/{number}", languages=("zh-Hans", "en"), categories=(),
                secret=signing.make_secret(), state=SubscriptionState.ACTIVE,
            ))
    analyse(storage)
    return PARTNERS - laggards


def push(service: Service, healthy: int) -> float:
    profile = load_profile(service.settings.profile_path)
    samples.accept(service.storage, profile, 1)
    wait_until(lambda: publish_due(service.storage, profile, utc_now).count, "the release is public")
    started_at = utc_now()
    Queue(service.valkey.url).publish()
    delivered_at = sa.select(deliveries.c.delivered_at).where(deliveries.c.delivered_at.is_not(None))

    def find_all() -> list[float] | None:
        with service.storage.read() as tx:
            waits = sorted((at - started_at).total_seconds() for at in tx.execute(delivered_at).scalars())
        return waits if len(waits) == healthy else None

    waits: list[float] = wait_until(find_all, "the healthy ones have it", service.read_logs)
    return waits[healthy * 99 // 100]
