"""Task names, their queues, and one typed method per task. A message is only a nudge: losing it costs seconds."""

from __future__ import annotations

import logging
from typing import Any

import celery
import kombu.exceptions
import redis.exceptions

log = logging.getLogger(__name__)

PUBLISH = "diglot.publish"
DELIVER = "diglot.deliver"
VERIFY = "diglot.verify"
NOTIFY = "diglot.notify"
SWEEP = "diglot.sweep"

ROUTES = {
    PUBLISH: {"queue": "publish"},
    DELIVER: {"queue": "deliver"},
    VERIFY: {"queue": "deliver"},
    NOTIFY: {"queue": "deliver"},
    SWEEP: {"queue": "sweep"},
}

# A request never waits longer than this for a broker that is away; the sweep finds its work.
_PATIENCE_SECONDS = 1.0

TRANSPORT_OPTIONS: dict[str, Any] = {
    "visibility_timeout": 60,
    # By default a killed worker's messages come back only 100 s after the timeout.
    "unacked_restore_interval": 2,
    "unacked_restore_throttle": 1,
    "socket_keepalive": True,
}


def make_celery(redis_url: str, **settings: Any) -> celery.Celery:
    """The one configuration that both sides share."""
    app = celery.Celery("diglot", broker=redis_url, set_as_current=False)
    app.conf.update(
        task_routes=ROUTES,
        task_ignore_result=True,
        task_serializer="json",
        accept_content=["json"],
        broker_transport_options=TRANSPORT_OPTIONS,
        broker_connection_retry_on_startup=True,
        **settings,
    )
    return app


class Queue:
    """The service's side of the queue."""

    def __init__(self, redis_url: str) -> None:
        self._app = make_celery(redis_url)
        self._app.conf.broker_transport_options = TRANSPORT_OPTIONS | {
            "socket_timeout": _PATIENCE_SECONDS,
            "socket_connect_timeout": _PATIENCE_SECONDS,
            "retry_on_timeout": False,
            "max_retries": 0,
        }

    def publish(self) -> None:
        """Whatever is accepted should go public now."""
        self._send(PUBLISH)

    def deliver(self, couriers: int = 1) -> None:
        """Whatever is due should be sent now, by so many couriers if there are."""
        self._send(DELIVER, couriers)

    def verify(self) -> None:
        """Whoever is said to want a topic, or no more of it, should be asked now."""
        self._send(VERIFY)

    def notify(self) -> None:
        """Owners of paused subscriptions should be told now."""
        self._send(NOTIFY)

    def is_up(self) -> bool:
        """Whether the broker answers."""
        try:
            with self._app.connection_for_write(connect_timeout=_PATIENCE_SECONDS) as connection:
                connection.ensure_connection(max_retries=1, timeout=_PATIENCE_SECONDS)
                connection.default_channel.client.ping()
        except (kombu.exceptions.OperationalError, redis.exceptions.RedisError, OSError):
            return False
        return True

    def _send(self, name: str, times: int = 1) -> None:
        try:
            for _ in range(times):
                self._app.send_task(name, retry=False)
        except (kombu.exceptions.OperationalError, redis.exceptions.RedisError, OSError) as error:
            log.warning("the broker can't be reached, the sweep will do: %s", error)
