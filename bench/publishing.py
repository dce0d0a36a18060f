"""How soon after the POST a release is in the feeds, against a bare round trip through the same broker."""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from itertools import count
from pathlib import Path

import celery

from bench import rival, samples
from bench.programs import run_service
from bench.report import Table, progress, run_rounds
from tests.faults.processes import Service

ROUNDS = 20
# As the service's own worker has it.
POOL = ("--pool", "threads", "--concurrency", "8")
POLL_SECONDS = 0.002
# Swaps of the feeds never share a second: this long after one the next may follow at once.
REST_SECONDS = 1.1
FULL_FEED = 25


def run() -> list[Table]:
    """With feeds that are full, so that every swap renders 25 entries in each language and format."""
    table = Table(
        title=f"From POST to visible in both languages' feeds of {FULL_FEED} releases, SQLite",
        unit="ms", digits=1, against=("bare Celery round trip",),
    )
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder, numbers = Path(name), count()
        with run_service(folder, f"sqlite:///{folder}/diglot.sqlite3") as service:
            service.start_all()
            progress(f"publishing: filling the feeds with {FULL_FEED} releases")
            for _ in range(FULL_FEED):
                post(service, numbers)
            visible_ms(service, numbers)
            with rival.run_worker(service.valkey.url, *POOL) as sender:
                run_rounds("publishing", ROUNDS, {
                    "bare Celery round trip": partial(round_trip_ms, sender),
                    "POST answered 201": partial(answered_ms, service, numbers),
                    "POST to visible, at once after another release": partial(visible_ms, service, numbers),
                    "POST to visible": partial(visible_at_rest_ms, service, numbers),
                }, table)
    return [table]


def round_trip_ms(sender: celery.Celery) -> float:
    started = time.perf_counter()
    rival.round_trip(sender)
    return ms_since(started)


def answered_ms(service: Service, numbers: Iterator[int]) -> float:
    started = time.perf_counter()
    post(service, numbers)
    return ms_since(started)


def visible_at_rest_ms(service: Service, numbers: Iterator[int]) -> float:
    # Chance keeps the rounds from meeting the clock's seconds always at the same place.
    time.sleep(REST_SECONDS + random.random())
    return visible_ms(service, numbers)


def visible_ms(service: Service, numbers: Iterator[int]) -> float:
    started = time.perf_counter()
    slug = post(service, numbers).encode()
    for name in ("zh", "en"):
        while slug not in service.get(f"/feeds/{name}.json")[1]:
            time.sleep(POLL_SECONDS)
    return ms_since(started)


def post(service: Service, numbers: Iterator[int]) -> str:
    """The slug of a new release."""
    slug: str = service.call("/v1/releases", samples.release_document(next(numbers)))["slug"]
    return slug


def ms_since(started: float) -> float:
    return (time.perf_counter() - started) * 1000
