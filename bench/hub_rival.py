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

app = celery.Celery("hub_rival")
app.conf.broker_connection_retry_on_startup = True
# In the worker alone, for its tasks are shared with every application of their process.
if database := os.environ.get("HUB_DATABASE"):
    Hub(SQLite3HubStorage(database), app, SIGNATURE_ALGORITHM="sha256")
SEND_CHANGE = "flask_websub.hub.tasks.send_change_notification_0"


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
    sender.send_task(SEND_CHANGE, (TOPIC, content), ignore_result=True)
