"""The hub of Flask-WebSub, the one that PyPI has: a Celery task for each subscriber, with the body in its message."""

from __future__ import annotations

import base64
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import celery
from flask_websub.hub import Hub, SQLite3HubStorage

from bench import rival
from service.signing import make_secret

TOPIC = "http://press.example/feed"

# The worker takes the very module that the benchmark does, which has no subscribers of its own.
app = celery.Celery("hub_rival")
app.conf.broker_connection_retry_on_startup = True
hub = Hub(SQLite3HubStorage(os.environ.get("HUB_DATABASE", ":memory:")), app, SIGNATURE_ALGORITHM="sha256")


@contextmanager
def run_worker(broker_url: str, callbacks: Sequence[str]) -> Iterator[celery.Celery]:
    """Who sends it tasks; all callbacks are subscribed to TOPIC."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        database = str(Path(folder) / "hub.sqlite3")
        subscribe(database, callbacks)
        with rival.run_worker(
            broker_url, *rival.POOL, application="bench.hub_rival", environ={"HUB_DATABASE": database}
        ) as sender:
            yield sender


def subscribe(database: str, callbacks: Sequence[str]) -> None:
    """Past the verification, which is not what is measured."""
    storage, order = SQLite3HubStorage(database), {"lease_seconds": 86_400, "secret": make_secret()}
    for callback in callbacks:
        storage[TOPIC, callback] = order


def send_change(sender: celery.Celery, body: bytes) -> None:
    links = f'<{TOPIC}/hub>; rel="hub", <{TOPIC}>; rel="self"'
    content = {"headers": {"Link": links}, "content": base64.b64encode(body).decode()}
    sender.send_task(hub.send_change_notification.name, (TOPIC, content), ignore_result=True)
