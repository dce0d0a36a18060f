"""From the desk to a site and to a mailbox, by the real courier: published, corrected, withdrawn; no password left."""

from __future__ import annotations

import email
from collections.abc import Callable, Iterator
from email.policy import default

import pytest
from celery import Celery

from service import subscriptions
from service.config import Profile
from service.model import DeliveryState
from service.networks import AllowedNetworks
from service.storage import Storage, deliveries
from service.validation import validate_release
from tests.conftest import VAULT, StoppedClock
from tests.core.newsroom import Newsroom
from tests.faults.processes import wait_until
from tests.services.smtp import Mailbox, run_smtp
from tests.services.wordpress_standin import start_standin
from workers import context
from workers.outbound import Outbound


@pytest.fixture
def mailbox(folder: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mailbox]:
    with run_smtp() as running:
        monkeypatch.setenv("DIGLOT_SMTP_URL", running.url)
        monkeypatch.setenv("DIGLOT_MAIL_FROM", "press@news.example")
        context.settings.cache_clear()
        yield running
    context.settings.cache_clear()


@pytest.fixture
def deliver(
    workers_app: Celery, storage: Storage, clock: StoppedClock, mailbox: Mailbox
) -> Iterator[Callable[[], None]]:
    """Sends what is due until nothing is."""
    from workers.courier import Courier

    own = Storage(storage.url, vault=VAULT)
    allowed = AllowedNetworks.parse("127.0.0.0/8")
    courier = Courier(own, Outbound(allowed, mail=context.settings().mail), "one", clock)
    courier.start()

    def deliver() -> None:
        courier.nudge()
        wait_until(lambda: not due(storage), "nothing is due", seconds=30)

    yield deliver
    courier.stop()
    own.close()


def due(storage: Storage) -> int:
    with storage.read() as tx:
        found: int = tx.exec_driver_sql("SELECT count(*) FROM deliveries WHERE state = 'due'").scalar_one()
        return found


def test_a_releases_whole_life_reaches_a_site_and_a_mailbox(
    storage: Storage, profile: Profile, clock: StoppedClock, release_document: dict[str, object],
    deliver: Callable[[], None], mailbox: Mailbox,
) -> None:
    newsroom = Newsroom(storage, profile, clock, validate_release(release_document, profile))
    with start_standin() as site:
        orders = (
            {"channel": "wordpress", "callback": site.api, "username": "editor",
             "application_password": site.passwords["editor"]},
            {"channel": "email", "callback": "mailto:desk@daily.example"},
        )
        made = [
            subscriptions.subscribe(storage, {"partner": "P", "languages": ["zh-Hans", "en"], **order}, clock())
            for order in orders
        ]
        release = newsroom.accept()
        newsroom.swap()
        deliver()
        newsroom.correct(release, "zh-Hans", "en")
        newsroom.swap()
        deliver()
        states = {post["status"] for post in site.ask(f"posts?search=diglot-{release.id}&status=publish,draft,trash")}
        assert states == {"publish"}
        newsroom.withdraw(release)
        newsroom.swap()
        deliver()
        posts = site.ask(f"posts?search=diglot-{release.id}&status=publish,draft,trash")
        assert [post["status"] for post in posts] == ["trash", "trash"]
    subjects = [email.message_from_bytes(content, policy=default)["subject"] for _, _, content in mailbox.received]
    assert [subject[:3] for subject in subjects][1:] == ["更正：", "一篇新"]
    with storage.read() as tx:
        for subscription in made:
            listed = deliveries.list_for_subscription(tx, subscription.id, limit=9, before=None)
            assert [delivery.state for delivery in listed] == [DeliveryState.DELIVERED] * 3
        kept = repr(tx.exec_driver_sql("SELECT * FROM attempts").all())
    assert "Basic" not in kept and site.passwords["editor"] not in kept


def test_what_a_mail_server_will_never_take_is_given_up_at_once_and_told(
    storage: Storage, profile: Profile, clock: StoppedClock, release_document: dict[str, object],
    deliver: Callable[[], None], mailbox: Mailbox,
) -> None:
    """RFC 5321 section 4.2.1: a 5yz is not to be repeated. What answers by HTTP is always tried again."""
    newsroom = Newsroom(storage, profile, clock, validate_release(release_document, profile))
    order = {"partner": "P", "languages": ["en"], "channel": "email", "callback": "mailto:desk@daily.example"}
    subscriptions.subscribe(storage, order, clock())
    mailbox.refuse = "550 5.1.1 No such user"
    release = newsroom.accept()
    newsroom.swap()
    deliver()
    with storage.read() as tx:
        [delivery] = deliveries.list_for_release(tx, release.id, limit=9, before=None)
        notices = tx.exec_driver_sql("SELECT type FROM notices").scalars().all()
    assert (delivery.state, [attempt.status for attempt in delivery.attempts]) == (DeliveryState.ABANDONED, [422])
    assert notices == ["delivery.abandoned"]
