"""What a release costs a newsroom with 100,000 subscriptions: planning, sending, memory, and others their time."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from uuid import UUID

import sqlalchemy as sa

from bench import samples
from bench.archive import analyse
from bench.deliveries import count_delivered, databases
from bench.programs import run_service, used_mb
from bench.receiver import count_received, list_received, partner_url, run_receiver
from bench.report import Table, progress
from service import signing
from service.clock import new_id, utc_now
from service.config import load_profile
from service.model import Channel, Secret, Subscription, SubscriptionState
from service.publishing import publish_due
from service.queue import Queue
from service.storage import Storage, subscriptions
from service.subscriptions import change_subscription
from tests.conftest import VAULT
from tests.factories import make_desk
from tests.faults.processes import Service, wait_until

SUBSCRIPTIONS = 100_000
ROUNDS = 3
BATCH = 5_000
METER_SECONDS = 0.25
CHANGE_SECONDS = 0.02
PATIENCE_SECONDS = 600.0


def run() -> list[Table]:
    """By the service's own worker, whose memory is taken all the while."""
    title = f"One release to {SUBSCRIPTIONS:,} subscriptions"
    tables = [
        Table(title=f"{title}: from the nudge to all deliveries planned", unit="s", digits=1, against=()),
        Table(title=f"{title}: from the nudge to all of them recorded", unit="s", digits=1, against=()),
        Table(title=f"{title}: the worker's memory at its most", unit="MB", against=()),
        Table(title=f"{title}: the longest that a partner's change waited for the planning", unit="ms", against=()),
    ]
    with ExitStack() as stack:
        receiver = stack.enter_context(run_receiver())
        for name, url in databases(stack):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
            service = stack.enter_context(run_service(folder, url))
            load_subscriptions(service.storage, receiver)
            service.start("worker")
            for number in range(1, ROUNDS + 1):
                progress(f"planning: round {number} of {ROUNDS}, {name}")
                for table, figure in zip(tables, fan_out(service, receiver), strict=True):
                    table.add(f"Diglot on {name}", figure)
            service.stop("worker")
    return tables


def load_subscriptions(storage: Storage, receiver: int) -> None:
    for begin in range(0, SUBSCRIPTIONS, BATCH):
        progress(f"planning: subscribed {begin:,} of {SUBSCRIPTIONS:,}")
        with storage.write() as tx:
            for number in range(begin, begin + BATCH):
                subscriptions.insert_subscription(tx, Subscription(
                    id=new_id(), partner=f"P{number}", channel=Channel.WEBHOOK, created_at=utc_now(),
                    callback=partner_url(receiver, number), languages=("zh-Hans", "en"), categories=(),
                    secret=Secret(signing.make_secret()), state=SubscriptionState.ACTIVE,
                ))
    analyse(storage)


@contextmanager
def metered(session: int) -> Iterator[list[float]]:
    """What memory a worker was seen to use, in MB, while the block ran."""
    seen, is_over = [used_mb(session)], threading.Event()

    def watch() -> None:
        while not is_over.wait(METER_SECONDS):
            seen.append(used_mb(session))

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield seen
    finally:
        is_over.set()
        watching.join()


@contextmanager
def changing(service: Service) -> Iterator[list[float]]:
    """How long each change of the first subscription took, in ms, while the block ran: all others come after it.

    On SQLite it waits for whoever writes, on PostgreSQL for whoever plans a delivery to it.
    """
    storage, desk = Storage(service.storage.url, busy_seconds=PATIENCE_SECONDS, vault=VAULT), make_desk(service.storage)
    with storage.read() as tx:
        first = subscriptions.list_standing(tx, after=UUID(int=0), limit=1)[0]
    taken, is_over = [0.0], threading.Event()

    def change() -> None:
        while not is_over.wait(CHANGE_SECONDS):
            started = time.perf_counter()
            change_subscription(storage, first.id, {"categories": []}, desk)
            taken.append((time.perf_counter() - started) * 1000)

    partner = threading.Thread(target=change)
    partner.start()
    try:
        yield taken
    finally:
        is_over.set()
        partner.join()
        storage.close()


def fan_out(service: Service, receiver: int) -> tuple[float, float, float, float]:
    """Seconds to plan, seconds to record all, MB, and the most ms that another writer waited while it was planned."""
    profile = load_profile(service.settings.profile_path)
    samples.accept(service.storage, profile, 1)
    wait_until(lambda: publish_due(service.storage, profile, utc_now).count, "the release is public")
    before, delivered = count_received(receiver), count_delivered(service) + SUBSCRIPTIONS
    with metered(service.pids()["worker"]) as seen:
        started = time.perf_counter()
        with changing(service) as taken:
            Queue(service.valkey.url).publish()
            wait_until(lambda: is_planned(service), "all is planned", service.read_logs, PATIENCE_SECONDS)
            planned = time.perf_counter() - started
        # To count rows takes the database some time; the receiver knows when it is worth it.
        wait_until(
            lambda: len(list_received(receiver, before)) >= SUBSCRIPTIONS, "all is sent", service.read_logs,
            PATIENCE_SECONDS,
        )
        wait_until(lambda: count_delivered(service) == delivered, "all is recorded", service.read_logs)
        return planned, time.perf_counter() - started, max(seen), max(taken)


def is_planned(service: Service) -> bool:
    with service.storage.read() as tx:
        return not tx.execute(sa.text("SELECT count(*) FROM events WHERE planned_at IS NULL")).scalar_one()
