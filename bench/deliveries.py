"""How many pushes a second reach partners who answer at once, and what keeping a record of each costs."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import celery
import pycurl
import sqlalchemy as sa

from bench import hub_rival, rival, samples, sending
from bench.programs import run_service
from bench.receiver import count_received, list_received, partner_url, run_receiver
from bench.report import Table, progress, run_rounds
from service import signing, subscriptions
from service.clock import new_id, utc_now
from service.config import load_profile
from service.publishing import publish_due
from service.queue import Queue
from tests.conftest import ROOT
from tests.faults.processes import Service, wait_until
from tests.services.postgres import start_postgres
from tests.services.valkey import start_valkey

PARTNERS = 10_000
ROUNDS = 5
# Of the bare loop, which more make no faster.
HANDLES = 256
LANGUAGES = ("zh-Hans", "en")

# Pushes a second of one fan-out to all partners.
Contestant = Callable[[], float]


def run() -> list[Table]:
    """One release to all partners, each on a host of its own: from the nudge or the first enqueueing to the last push.

    The rivals are a Celery task for each delivery, which posts with requests from a prefork pool of two, and the hub of
    Flask-WebSub, whose tasks do the same; the limit is a bare loop over pycurl, which keeps no record. What of the way
    there is lost by claiming and recording, the service's own sending shows, which does neither.
    """
    body = samples.push_body(load_profile(ROOT / "newsroom.json"), LANGUAGES)
    hub, tasks, loop = "Flask-WebSub", "Celery task each", "bare pycurl loop"
    table = Table(
        title=f"Fan-out of one release to {PARTNERS:,} partners, bodies of {len(body):,} bytes, signed, "
        "a new connection each",
        unit="deliveries/s", against=(hub, tasks, loop),
    )
    with ExitStack() as stack:
        receiver = stack.enter_context(run_receiver())
        contestants: dict[str, Contestant] = {
            f"Diglot on {name}{beside}": stack.enter_context(run_diglot(url, receiver, workers))
            for workers, beside in ((1, ""), (2, ", two workers")) for name, url in databases(stack)
        }
        contestants[hub] = stack.enter_context(run_hub(receiver, body))
        contestants[tasks] = stack.enter_context(run_rival(receiver, body.decode()))
        sender = stack.enter_context(sending.Sender().running())
        contestants["Diglot's sending alone"] = lambda: sender.push(sending.make_claims(receiver, PARTNERS, body))
        contestants[loop] = partial(push_bare, receiver, body)
        run_rounds("deliveries", ROUNDS, contestants, table)
    return [table]


def databases(stack: ExitStack) -> Iterator[tuple[str, str]]:
    """Both as in service: every commit is on the disk before it counts."""
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-"))
    yield "SQLite", f"sqlite:///{folder}/diglot.sqlite3"
    yield "PostgreSQL", stack.enter_context(start_postgres(durable=True)).create_database()


@contextmanager
def run_diglot(database_url: str, receiver: int, workers: int) -> Iterator[Contestant]:
    """The service's own worker, or several; without beat, whose sweeps would nudge them too."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        service = stack.enter_context(run_service(folder, database_url, workers=workers))
        progress(f"deliveries: subscribing {PARTNERS:,} partners")
        for number in range(PARTNERS):
            order = {"partner": f"P{number}", "channel": "webhook", "callback": partner_url(receiver, number)}
            subscriptions.subscribe(service.storage, order | {"languages": list(LANGUAGES)}, utc_now())
        service.start(*service.workers)
        push(service, receiver)
        yield partial(push, service, receiver)


def push(service: Service, receiver: int) -> float:
    """A release that is public already is planned, pushed and recorded as delivered, partner by partner."""
    profile = load_profile(service.settings.profile_path)
    samples.accept(service.storage, profile, 1, samples.long_document)
    wait_until(lambda: publish_due(service.storage, profile, utc_now).count, "the release is public")
    owed, before = count_delivered(service) + PARTNERS, count_received(receiver)
    started = time.perf_counter()
    Queue(service.valkey.url).publish()
    # To ask the database all the time what is done would take it a tenth of its time.
    wait_until(lambda: list_received(receiver, before + PARTNERS - 1), "all were sent", service.read_logs)
    wait_until(lambda: is_all_done(service), "all have it", service.read_logs)
    seconds = time.perf_counter() - started
    assert count_delivered(service) == owed, "what is done was delivered"
    return PARTNERS / seconds


def is_all_done(service: Service) -> bool:
    """Found in the indexes: to count what is delivered would take longer than to record it."""
    with service.storage.read() as tx:
        return not tx.execute(sa.text(
            "SELECT EXISTS (SELECT 1 FROM events WHERE planned_at IS NULL)"
            " OR EXISTS (SELECT 1 FROM deliveries WHERE lane IS NOT NULL)"
            " OR EXISTS (SELECT 1 FROM deliveries WHERE claim_owner IS NOT NULL)"
        )).scalar_one()


def count_delivered(service: Service) -> int:
    with service.storage.read() as tx:
        return int(tx.execute(sa.text("SELECT count(*) FROM deliveries WHERE state = 'delivered'")).scalar_one())


@contextmanager
def run_rival(receiver: int, body: str) -> Iterator[Contestant]:
    with start_valkey() as valkey, rival.run_worker(valkey.url, *rival.POOL) as sender:
        yield partial(push_by_tasks, sender, receiver, body)


def push_by_tasks(sender: celery.Celery, receiver: int, body: str) -> float:
    before, secret, started = count_received(receiver), signing.make_secret(), time.perf_counter()
    for number in range(PARTNERS):
        arguments = (plain_url(receiver, number), f"msg_{new_id().hex}", secret, body)
        sender.send_task(rival.push.name, arguments, ignore_result=True)
    return await_all(receiver, before, started)


@contextmanager
def run_hub(receiver: int, body: bytes) -> Iterator[Contestant]:
    callbacks = [plain_url(receiver, number) for number in range(PARTNERS)]
    with start_valkey() as valkey, hub_rival.run_worker(valkey.url, callbacks) as sender:
        yield partial(push_by_hub, sender, receiver, body)


def push_by_hub(sender: celery.Celery, receiver: int, body: bytes) -> float:
    before, started = count_received(receiver), time.perf_counter()
    hub_rival.send_change(sender, body)
    return await_all(receiver, before, started)


def plain_url(receiver: int, number: int) -> str:
    # Names under localhost are known to curl, but not to every system's resolver.
    return f"http://127.0.0.1:{receiver}/{number}"


def await_all(receiver: int, before: int, started: float) -> float:
    wait_until(lambda: list_received(receiver, before + PARTNERS - 1), "all have it")
    return PARTNERS / (time.perf_counter() - started)


def push_bare(receiver: int, body: bytes) -> float:
    """Signed and sent by handles that are used again, and keep no names either; nothing else."""
    multi, secret, started = pycurl.CurlMulti(), signing.make_secret(), time.perf_counter()
    spare, begun, done = [pycurl.Curl() for _ in range(HANDLES)], 0, 0
    while done < PARTNERS:
        while spare and begun < PARTNERS:
            multi.add_handle(prepare(spare.pop(), partner_url(receiver, begun), secret, body))
            begun += 1
        multi.perform()
        _, ended, failed = multi.info_read(HANDLES)
        assert not failed, failed
        for curl in ended:
            multi.remove_handle(curl)
        spare += ended
        done += len(ended)
        if not ended:
            multi.select(1.0)
    return PARTNERS / (time.perf_counter() - started)


def prepare(curl: pycurl.Curl, url: str, secret: str, body: bytes) -> pycurl.Curl:
    headers = rival.signed_headers(f"msg_{new_id().hex}", secret, body)
    curl.setopt(pycurl.URL, url)
    curl.setopt(pycurl.DNS_CACHE_TIMEOUT, 0)
    curl.setopt(pycurl.POSTFIELDS, body)
    curl.setopt(pycurl.HTTPHEADER, [f"{name}: {value}" for name, value in headers.items()])
    return curl
