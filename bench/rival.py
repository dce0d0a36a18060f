"""What many would write instead: plain Celery with a result backend, and a task per delivery with requests."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import celery
import requests

from bench.programs import running
from service.processes import Program
from service.signing import sign
from tests.faults.processes import wait_until

POOL = ("--pool", "prefork", "--concurrency", "2")

# In the worker, Celery reads CELERY_BROKER_URL and CELERY_RESULT_BACKEND by itself.
# Its tasks are its own: shared ones would be in every other application too.
app = celery.Celery("rival")
app.conf.broker_connection_retry_on_startup = True

_session = requests.Session()


@app.task(shared=False)
def answer() -> str:
    """Nothing but the way there and back."""
    return "seen"


@app.task(shared=False, ignore_result=True)
def push(url: str, message_id: str, secret: str, body: str) -> None:
    """One delivery; its connection is kept for the next."""
    data = body.encode()
    _session.post(url, data, headers=signed_headers(message_id, secret, data), timeout=15).raise_for_status()


def signed_headers(message_id: str, secret: str, body: bytes) -> Mapping[str, str]:
    """Those that the service sends."""
    timestamp = int(time.time())
    return {
        "content-type": "application/json", "user-agent": "bench", "webhook-id": message_id,
        "webhook-timestamp": str(timestamp), "webhook-signature": sign(secret, message_id, timestamp, body),
    }


@contextmanager
def run_worker(
    broker_url: str, *pool: str, application: str = "bench.rival", environ: Mapping[str, str] | None = None
) -> Iterator[celery.Celery]:
    """Who sends it tasks; the worker has this pool and is up: it has answered."""
    command = (sys.executable, "-m", "celery", "--quiet", "-A", application, "worker", *pool)
    flags = ("--without-gossip", "--without-mingle", "--loglevel", "ERROR")
    variables = {
        "CELERY_BROKER_URL": broker_url, "CELERY_RESULT_BACKEND": broker_url,
        # Started by root, it warns at length.
        "PYTHONWARNINGS": "ignore", **(environ or {}),
    }
    with (
        running(Program(name="rival", command=(*command, *flags), stop_seconds=20), variables),
        celery.Celery("bench", broker=broker_url, backend=broker_url, set_as_current=False) as sender,
    ):
        wait_until(lambda: sender.control.ping(timeout=1), "the worker answers")
        yield sender


def round_trip(sender: celery.Celery) -> None:
    """Enqueued, run by a worker, result seen."""
    assert sender.send_task(answer.name).get(timeout=60) == "seen"
