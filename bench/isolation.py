"""What partners that hang or drip cost those that don't: ten thousand partners, a tenth of them in trouble."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from bench import samples
from bench.deliveries import LANGUAGES, Contestant, count_delivered
from bench.programs import run_service
from bench.receiver import count_received, list_received, partner_url, run_receiver
from bench.report import Table, progress, run_rounds
from service import subscriptions
from service.clock import new_id, utc_now
from service.config import load_profile
from service.publishing import publish_due
from service.queue import Queue
from tests.faults.processes import Service, wait_until
from tests.services.postgres import start_postgres

PARTNERS = 10_000
ROUNDS = 5
# Of each twenty partners.
MANNERS = {0: "hang", 10: "drip"}
CYCLE = 20
HEALTHY = PARTNERS - PARTNERS * len(MANNERS) // CYCLE


def run() -> Iterator[Table]:
    """From the nudge to the push that the slowest in a hundred of the healthy partners gets.

    Once with those in trouble left out, which spares their planning too, and once with them as healthy as the others.
    """
    left_out, healed = f"{HEALTHY:,}, none in trouble", f"{PARTNERS:,}, none in trouble"
    with ExitStack() as stack:
        receiver = stack.enter_context(run_receiver())
        for database, make_url in makers(stack).items():
            table = Table(
                title=f"{database}: a release to partners of whom {PARTNERS - HEALTHY:,} hang or send a byte a second: "
                "the healthy ones' 99th percentile",
                unit="s", against=(left_out, healed), digits=2,
            )
            newsrooms = {
                left_out: {}, healed: dict.fromkeys(MANNERS, ""), f"{PARTNERS:,}, a twentieth hangs, one drips": MANNERS
            }
            contestants = {
                name: stack.enter_context(run_newsroom(make_url(), receiver, manners))
                for name, manners in newsrooms.items()
            }
            run_rounds(f"isolation on {database}", ROUNDS, contestants, table)
            yield table


def makers(stack: ExitStack) -> dict[str, Callable[[], str]]:
    """How each kind makes a new database; both as in service."""
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-"))
    server = stack.enter_context(start_postgres(durable=True))
    return {"SQLite": lambda: f"sqlite:///{folder}/{new_id()}.sqlite3", "PostgreSQL": server.create_database}


@contextmanager
def run_newsroom(url: str, receiver: int, manners: Mapping[int, str]) -> Iterator[Contestant]:
    """With the partners of ``manners``, by their place in the cycle, and all that are in trouble in no newsroom."""
    places = {place: "" for place in range(CYCLE) if place not in MANNERS} | {**manners}
    partners = {number: places[number % CYCLE] for number in range(PARTNERS) if number % CYCLE in places}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, run_service(Path(folder), url) as service:
        progress(f"isolation: subscribing {len(partners):,} partners")
        for number, manner in partners.items():
            order = {"partner": f"P{number}", "channel": "webhook", "callback": partner_url(receiver, number, manner)}
            subscriptions.subscribe(service.storage, order | {"languages": list(LANGUAGES)}, utc_now())
        yield partial(push, service, receiver, list(partners.values()).count(""))


def push(service: Service, receiver: int, healthy: int) -> float:
    """With a worker of its own each time, so that the other newsroom's retries take none of the machine."""
    profile = load_profile(service.settings.profile_path)
    service.start("worker")
    samples.accept(service.storage, profile, 1)
    wait_until(lambda: publish_due(service.storage, profile, utc_now).count, "the release is public")
    before, owed = count_received(receiver), count_delivered(service) + healthy
    started = time.monotonic()
    Queue(service.valkey.url).publish()
    wait_until(lambda: list_received(receiver, before + healthy - 1), "all have it", service.read_logs)
    times = list_received(receiver, before)
    wait_until(lambda: count_delivered(service) >= owed, "all is on record", service.read_logs)
    service.kill("worker")
    service.run_out_claims()
    return statistics.quantiles(times, n=100)[98] - started
