"""What fault tests stand on that start no service."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery
from flask.testing import FlaskClient

from service.config import Profile
from service.storage import Storage
from tests.conftest import VAULT, StoppedClock
from tests.faults.apart import RunApart, find_apart
from tests.faults.receivers import run_receivers
from tests.faults.wire import Wire, hire


@pytest.fixture
def wire(
    workers_app: Celery, client: FlaskClient, staff: dict[str, str], storage: Storage, database_url: str,
    profile: Profile, clock: StoppedClock, release_document: dict[str, Any],
) -> Iterator[Wire]:
    own = Storage(database_url, busy_seconds=0.1, vault=VAULT)
    courier = hire(own, clock)
    with run_receivers() as receivers:
        yield Wire(client, staff, storage, profile, clock, release_document, courier, receivers)
    courier.stop()
    own.close()


@pytest.fixture(scope="session")
def run_apart() -> RunApart:
    return find_apart()
