"""Staff at the API, and the swap that follows what they do."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from service.deliveries import plan_due
from service.edge import Services
from service.publishing import publish_due
from service.releases import publish_scheduled
from tests.api.desk import Desk
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
