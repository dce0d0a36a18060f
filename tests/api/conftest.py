"""Staff at the API, the swap that follows what they do, and a partner who is told of it."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from service.config import Profile
from service.deliveries import plan_due
from service.edge import Services
from service.publishing import publish_due
from service.releases import publish_scheduled
from service.storage import Storage
from tests.api.desk import Desk
from tests.api.wire import Wire
from tests.conftest import StoppedClock


@pytest.fixture
def desk(client: FlaskClient, staff: dict[str, str], release_document: dict[str, Any]) -> Desk:
    return Desk(client, staff, release_document)


@pytest.fixture
def swap(services: Services, clock: StoppedClock) -> Any:
    def work() -> None:
        clock.advance(seconds=1)
        publish_scheduled(services.storage, clock())
        publish_due(services.storage, services.profile, clock)
        plan_due(services.storage, services.profile, clock)

    work()
    return work


@pytest.fixture
def wire(
    client: FlaskClient, admin: dict[str, str], storage: Storage, profile: Profile, clock: StoppedClock,
    release_document: dict[str, Any],
) -> Wire:
    return Wire(client, admin, storage, profile, clock, release_document)
