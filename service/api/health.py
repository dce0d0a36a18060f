"""/healthz says that the process answers, /readyz that all its parts do."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask import Blueprint

from service.edge import services
from service.errors import StorageUnavailable
from service.storage import heartbeats

blueprint = Blueprint("health", __name__)

# The worker's heartbeat is a few seconds old at most while beat, broker and worker live.
OLDEST_HEARTBEAT = timedelta(seconds=15)


@blueprint.get("/healthz")
def healthz() -> Any:
    return {"status": "ok"}


@blueprint.get("/readyz")
def readyz() -> tuple[Any, int]:
    checks = _check_database_and_worker() | {"broker": "ok" if services().queue.is_up() else "unreachable"}
    ready = set(checks.values()) == {"ok"}
    return {"status": "ok" if ready else "unready", "checks": checks}, 200 if ready else 503


def _check_database_and_worker() -> dict[str, str]:
    try:
        with services().storage.read() as tx:
            beat_at = heartbeats.find_heartbeat(tx, "worker")
    except StorageUnavailable:
        return {"database": "unreachable", "worker": "unknown"}
    alive = beat_at is not None and services().clock() - beat_at < OLDEST_HEARTBEAT
    return {"database": "ok", "worker": "ok" if alive else "silent"}
