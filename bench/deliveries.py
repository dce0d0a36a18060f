"""How many pushes a second reach partners who answer at once, and what keeping a record of each costs."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import celery
import sqlalchemy as sa

from bench import rival, samples
from bench.receiver import callback_of, count_received, run_receiver
from bench.report import Table, progress, run_rounds
from service import signing, subscriptions
from service.clock import new_id, utc_now
from service.config import load_profile
from service.networks import AllowedNetworks
from service.publishing import publish_due
from service.queue import Queue
from tests.conftest import ROOT
from tests.faults.processes import Service, run_service, wait_until
from tests.services.postgres import start_postgres
from tests.services.valkey import start_valkey
from workers.outbound import Outbound, Request

PARTNERS = 1000
ROUNDS = 5
# As many as the courier begins in a moment.
MOST_IN_FLIGHT = 256
LANGUAGES = ("zh-Hans", "en")

# Pushes a second of one fan-out to all partners.
Contestant = Callable[[], float]


def run() -> list[Table]:
    """One release to a thousand partners: from the nudge or the first enqueueing to the last push.

    The rivals are a Celery task for each delivery, which posts with requests from a prefork pool of two,
    and a bare loop over the service's own HTTP client, which keeps no record.
    """
    body = samples.push_body(load_profile(ROOT / "newsroom.json"), LANGUAGES)
    tasks, loop = "Celery task each", "bare loop"
    table = Table(
        title=f"Fan-out of one release to {PARTNERS} partners, bodies of {len(body):,} bytes, signed",
        unit="deliveries/s", against=(tasks, loop),
    )
    with ExitStack() as stack:
        receiver = stack.enter_context(run_receiver())
        contestants: dict[str, Contestant] = {
            f"Diglot on {name}": stack.enter_context(run_diglot(url, receiver)) for name, url in databases(stack)
        }
        contestants[tasks] = stack.enter_context(run_rival(receiver, body.decode()))
        contestants[loop] = partial(push_bare, receiver, body)
        run_rounds("deliveries", ROUNDS, contestants, table)
    return [table]


def databases(stack: ExitStack) -> Iterator[tuple[str, str]]:
    """Both as in service: every commit is on the disk before it counts."""
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-"))
    yield "SQLite", f"sqlite:///{folder}/diglot.sqlite3"
    yield "PostgreSQL", stack.enter_context(start_postgres(durable=True)).create_database()


@contextmanager
def run_diglot(database_url: str, receiver: int) -> Iterator[Contestant]:
    """The service's own worker; without beat, whose sweeps would nudge it too."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, run_service(Path(folder), database_url) as service:
        progress(f"deliveries: subscribing {PARTNERS} partners")
        for number in range(PARTNERS):
            order = {"partner": f"P{number}", "channel": "webhook", "callback": callback_of(number, receiver)}
            subscriptions.subscribe(service.storage, order | {"languages": list(LANGUAGES)}, utc_now())
        service.start("worker")
        push(service)
        yield partial(push, service)


def push(service: Service) -> float:
    """A release that is public already is planned, pushed and recorded as delivered, partner by partner."""
    profile = load_profile(service.settings.profile_path)
    samples.accept(service.storage, profile, 1)
    wait_until(lambda: publish_due(service.storage, profile, utc_now).count, "the release is public")
    owed = count_delivered(service) + PARTNERS
    started = time.perf_counter()
    Queue(service.valkey.url).publish()
    wait_until(lambda: count_delivered(service) == owed, "all have it", service.read_logs)
    return PARTNERS / (time.perf_counter() - started)


def count_delivered(service: Service) -> int:
    with service.storage.read() as tx:
        return int(tx.execute(sa.text("SELECT count(*) FROM deliveries WHERE state = 'delivered'")).scalar_one())


@contextmanager
def run_rival(receiver: int, body: str) -> Iterator[Contestant]:
    pool = ("--pool", "prefork", "--concurrency", "2")
    with start_valkey() as valkey, rival.run_worker(valkey.url, *pool) as sender:
        yield partial(push_by_tasks, sender, receiver, body)


def push_by_tasks(sender: celery.Celery, receiver: int, body: str) -> float:
    owed = count_received(receiver) + PARTNERS
    secret, started = signing.make_secret(), time.perf_counter()
    for number in range(PARTNERS):
        arguments = (callback_of(number, receiver), f"msg_{new_id().hex}", secret, body)
        sender.send_task(rival.push.name, arguments, ignore_result=True)
    wait_until(lambda: count_received(receiver) == owed, "all tasks have run")
    return PARTNERS / (time.perf_counter() - started)


def push_bare(receiver: int, body: bytes) -> float:
    outbound, secret = Outbound(AllowedNetworks.parse("127.0.0.0/8")), signing.make_secret()
    started, done, begun = time.perf_counter(), 0, 0
    while done < PARTNERS:
        while begun < PARTNERS and outbound.in_flight < MOST_IN_FLIGHT:
            headers = rival.signed_headers(f"msg_{new_id().hex}", secret, body)
            outbound.start(Request(callback_of(begun, receiver), body, headers), None)
            begun += 1
        responses = [response for _, response in outbound.wait(1.0)]
        assert all(response.status == 204 for response in responses), responses
        done += len(responses)
    outbound.close()
    return PARTNERS / (time.perf_counter() - started)
