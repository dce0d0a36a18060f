"""The way of a push in one process at the test's own time: the real API, a real courier, real HTTP."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from flask.testing import FlaskClient

from service.clock import Clock
from service.config import Profile
from service.deliveries import plan_due
from service.publishing import publish_due
from service.storage import Storage, lines
from service.storage.tables import deliveries
from tests.conftest import StoppedClock
from tests.faults.processes import wait_until
from tests.faults.receivers import Asked, Received

if TYPE_CHECKING:
    from workers.deliver import Courier


class Wire:
    """One subscription to receiver 0 of ``base_url``; what it is owed a courier sends when it is told to `work`."""

    def __init__(
        self, client: FlaskClient, staff: dict[str, str], storage: Storage, profile: Profile, clock: StoppedClock,
        document: dict[str, Any], courier: Courier, receivers: tuple[str, Received],
    ) -> None:
        self.client, self.headers = client, {**staff, "If-Match": "*"}
        self.storage, self.profile, self.clock, self.document = storage, profile, clock, document
        self.courier, (self.base_url, self.received) = courier, receivers
        self.order = self.call("/v1/subscriptions", {
            "partner": "P", "channel": "webhook", "callback": self.callback(0), "languages": ["zh-Hans", "en"],
        })
        self.path = f"/v1/subscriptions/{self.order['id']}"

    def callback(self, number: int) -> str:
        return f"{self.base_url}/{number}"

    def call(self, path: str, document: Any = None, method: str = "POST") -> Any:
        answer = self.client.open(path, method=method, json=document, headers=self.headers)
        assert answer.status_code < 300, answer.text
        return answer.json

    def publish(self, **changes: Any) -> str:
        """A release that is public and planned; its id."""
        release_id = str(self.call("/v1/releases", copy.deepcopy(self.document) | changes)["id"])
        self.plan()
        return release_id

    def withdraw(self, release_id: str) -> None:
        self.call(f"/v1/releases/{release_id}/withdraw", {"reason": {"en": "An error.", "zh-Hans": "有误。"}})
        self.plan()

    def plan(self) -> None:
        self.clock.advance(seconds=2)
        publish_due(self.storage, self.profile, self.clock)
        plan_due(self.storage, self.profile, self.clock)

    def work(self) -> None:
        """Send all that is due now, and wait for the answers."""
        self.courier.nudge()
        wait_until(self.is_idle, "all that is due has been sent", seconds=30)

    def is_idle(self) -> bool:
        with self.storage.read() as tx:
            flying = sa.select(sa.func.count()).where(deliveries.c.claim_owner.is_not(None))
            return not tx.execute(flying).scalar_one() and not lines.is_any_due(tx, self.clock())

    def find_next(self) -> datetime | None:
        """When something is due again."""
        with self.storage.read() as tx:
            query = sa.select(sa.func.min(deliveries.c.next_attempt_at)).where(deliveries.c.state == "due")
            return tx.execute(query).scalar_one()

    def wait_for_next(self) -> None:
        """As long as the next retry does."""
        due_at = self.find_next()
        assert due_at, "nothing is to be tried again"
        self.clock.now = max(self.clock.now, due_at)

    def states(self) -> list[str]:
        """Of all that was ever owed, oldest first."""
        with self.storage.read() as tx:
            return list(tx.execute(sa.select(deliveries.c.state).order_by(deliveries.c.id)).scalars())

    def asked(self, number: int = 0) -> Sequence[Asked]:
        return [asked for asked in self.received.asked if asked.number == number]


def hire(storage: Storage, clock: Clock, ca_bundle: str | None = None) -> Courier:
    """A courier that may push to loopback."""
    from service.networks import AllowedNetworks
    from workers.deliver import Courier
    from workers.outbound import Outbound

    outbound = Outbound(AllowedNetworks.parse("127.0.0.0/8"), ca_bundle=ca_bundle)
    courier = Courier(storage, outbound, "first", clock)
    courier.start()
    return courier
