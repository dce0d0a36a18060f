"""The Celery application: `celery -A workers.app worker` and `celery -A workers.app beat`."""

from __future__ import annotations

import logging
import warnings
from datetime import datetime, timedelta
from typing import Any

from celery.schedules import schedule
from celery.signals import setup_logging, worker_init

from service.queue import SWEEP, make_celery
from service.starting import refuse_plainly
from workers import context

SWEEP_SECONDS = 2.0

# Celery's caution about root is for workers that unpickle; ours take JSON without arguments.
warnings.filterwarnings("ignore", message="You're running the worker with superuser")

with refuse_plainly():
    broker_url = context.redis_url()


class Steady(schedule):
    """Every so many seconds, also after a clock was set back: Celery by itself waits until that has caught up."""

    def remaining_estimate(self, last_run_at: datetime) -> timedelta:
        remaining: timedelta = super().remaining_estimate(last_run_at)
        return remaining if remaining <= self.run_every else timedelta()


app = make_celery(
    broker_url,
    include=["workers.publish", "workers.deliver", "workers.verify", "workers.notify", "workers.sweep"],
    # Acknowledged only when done, so that a task of a killed worker comes again.
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    worker_cancel_long_running_tasks_on_connection_loss=False,
    beat_schedule={
        "sweep": {
            "task": SWEEP,
            "schedule": Steady(SWEEP_SECONDS),
            # While no worker is up, sweeps must not pile up.
            "options": {"expires": SWEEP_SECONDS * 2},
        },
    },
)


@worker_init.connect
def look_first(**_: Any) -> None:
    """A worker that can open no secret or knows no newsroom would take tasks and fail each; beat needs neither."""
    with refuse_plainly():
        context.profile()
        context.storage()


@setup_logging.connect
def configure_logging(**_: Any) -> None:
    """Our own form, in place of Celery's, which logs the arguments of tasks."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("celery.beat").setLevel(logging.WARNING)
    logging.getLogger("celery.app.trace").setLevel(logging.WARNING)
    # Each sweep that came too late, and there is one for every two seconds that no worker was up.
    logging.getLogger("celery.worker.request").setLevel(logging.WARNING)
    logging.getLogger("celery.worker.strategy").setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)
