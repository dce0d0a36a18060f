"""The hub as a subscriber meets it, over HTTP, against the real service (W3C WebSub).

The numbers are those of the hub tests of websub.rocks, whose checks are all here; `require_distribution` makes those
that it makes of every distribution.
"""

from __future__ import annotations

import itertools
import threading
import urllib.parse
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from service.feeds import entry_id
from tests.conftest import lend_database
from tests.faults.processes import Service, run_service, wait_until
from tests.websub.asking import (
    ask,
    count_waiting,
    fetch,
    links,
    post,
    publish,
    require_distribution,
    select,
    subscribe,
    unsubscribe,
)
from tests.websub.subscriber import Callback, Subscribers, run_subscribers

pytestmark = [pytest.mark.fault, pytest.mark.timeout(240)]

DAY = 24 * 3600
NUMBERS = itertools.count(1)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def service(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One for all tests, each of which has callbacks of its own."""
    folder = tmp_path_factory.mktemp("hub")
    with (
        lend_database(request, request.param, folder / "diglot.sqlite3") as url,
        run_service(folder, url, web_processes=1) as service,
    ):
        service.start_all()
        yield service


@pytest.fixture(scope="module")
def subscribers() -> Iterator[Subscribers]:
    with run_subscribers() as server:
        yield server


@pytest.fixture
def callback(subscribers: Subscribers) -> Callback:
    return subscribers.add(f"callback-{next(NUMBERS)}")


def test_100_a_plain_subscriber_is_asked_and_then_sent_what_changes(service: Service, callback: Callback) -> None:
    question = subscribe(service, "/feeds/en.atom", callback)
    assert set(question) == {"hub.mode", "hub.topic", "hub.challenge", "hub.lease_seconds"}
    assert question["hub.mode"] == "subscribe" and question["hub.topic"] == f"{service.base_url}/feeds/en.atom"
    assert question["hub.lease_seconds"] == str(10 * DAY)
    assert len(question["hub.challenge"]) >= 32
    publish(service)
    require_distribution(service, "/feeds/en.atom", callback.await_content())


def test_101_with_a_secret_what_is_sent_is_signed(service: Service, callback: Callback) -> None:
    subscribe(service, "/feeds/zh.atom", callback, secret="密钥 & a+b=c")
    publish(service)
    require_distribution(service, "/feeds/zh.atom", callback.await_content(), "密钥 & a+b=c")


def test_102_parameters_that_the_hub_does_not_know_change_nothing(service: Service, callback: Callback) -> None:
    more = {"foo": "extra", "hub.foo": "extra", "hub.verify": "async", "hub.verify_token": "x"}
    fields = {"hub.mode": "subscribe", "hub.topic": f"{service.base_url}/feeds/en.rss", "hub.callback": callback.url}
    assert post(service, fields | more)[0] == 202
    assert not {"foo", "hub.foo"} & set(callback.await_question())
    wait_until(lambda: not count_waiting(service.storage, callback), "the intent is settled")
    publish(service)
    require_distribution(service, "/feeds/en.rss", callback.await_content())


def test_103_who_subscribes_again_has_one_subscription_with_the_new_lease_and_secret(
    service: Service, callback: Callback
) -> None:
    subscribe(service, "/feeds/en.json", callback, secret="old", lease_seconds=str(2 * DAY))
    question = subscribe(service, "/feeds/en.json", callback, secret="new", lease_seconds=str(5 * DAY))
    assert question["hub.lease_seconds"] == str(5 * DAY)
    assert select(service.storage, "SELECT count(*) FROM subscriptions WHERE callback = :callback", callback) == 1
    publish(service)
    require_distribution(service, "/feeds/en.json", callback.await_content(), "new")
    publish(service)
    callback.await_content(2)
    assert len({sent.body for sent in callback.received}) == len(callback.received) == 2


def test_104_who_has_unsubscribed_is_sent_nothing_more(
    service: Service, callback: Callback, subscribers: Subscribers
) -> None:
    other = subscribers.add(f"callback-{next(NUMBERS)}")
    for each in (callback, other):
        subscribe(service, "/feeds/zh.json", each)
    publish(service)
    for each in (callback, other):
        each.await_content()
    unsubscribe(service, "/feeds/zh.json", callback)
    assert callback.questions[-1]["hub.mode"] == "unsubscribe" and callback.questions[-1]["hub.challenge"]
    assert "hub.lease_seconds" not in callback.questions[-1]
    publish(service)
    other.await_content(2)
    assert len(callback.received) == 1


def test_105_and_106_every_feed_is_a_topic_with_its_own_media_type(
    service: Service, subscribers: Subscribers
) -> None:
    topics = [
        f"/feeds/{name}.{format}"
        for name in ("zh", "en", "zh/visits", "en/visits") for format in ("atom", "rss", "json")
    ]
    callbacks = {topic: subscribers.add(f"callback-{next(NUMBERS)}") for topic in topics}
    for topic, callback in callbacks.items():
        body, headers = fetch(service, topic)
        for rel, url in (("self", service.base_url + topic), ("hub", f"{service.base_url}/hub")):
            assert [href for href, name in links(headers["Link"]) if name == rel] == [url]
            assert url in body.decode()
        subscribe(service, topic, callback)
    publish(service)
    for topic, callback in callbacks.items():
        require_distribution(service, topic, callback.await_content())


def test_a_callback_keeps_its_own_query(service: Service, subscribers: Subscribers) -> None:
    callback = subscribers.add(f"callback-{next(NUMBERS)}", "?id=7&q=a%20b&empty=")
    subscribe(service, "/feeds/en/events.atom", callback)
    assert "?id=7&q=a%20b&empty=&hub.mode=subscribe&" in callback.targets[0]
    unsubscribe(service, "/feeds/en/events.atom", callback)
    assert "?id=7&q=a%20b&empty=&hub.mode=unsubscribe&" in callback.targets[1]


def test_what_is_sent_goes_to_the_very_callback(service: Service, subscribers: Subscribers) -> None:
    callback = subscribers.add(f"callback-{next(NUMBERS)}", "?id=7&q=a%20b&empty=")
    subscribe(service, "/feeds/en.atom", callback)
    publish(service)
    assert callback.await_content().target == urllib.parse.urlsplit(callback.url).path + "?id=7&q=a%20b&empty="


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_any_2xx_with_the_very_challenge_confirms(service: Service, callback: Callback, status: int) -> None:
    # HTTP allows no content with 204, so that one is never the challenge.
    callback.reply = lambda fields: (status, fields["hub.challenge"].encode() if status != 204 else b"", {})
    subscribe(service, "/feeds/en/visits.atom", callback)
    state = select(service.storage, "SELECT state FROM intents WHERE callback = :callback", callback)
    assert state == ("failed" if status == 204 else "verified")


def test_any_other_answer_refuses_and_changes_nothing(service: Service, subscribers: Subscribers) -> None:
    """A redirect leads nowhere, even to a callback that would confirm."""
    elsewhere = subscribers.add(f"callback-{next(NUMBERS)}")

    def refusal(status: int, prefix: str = "", suffix: str = "") -> Any:
        return lambda fields: (
            status, f"{prefix}{fields['hub.challenge']}{suffix}".encode(),
            {"Location": f"{elsewhere.url}?{urllib.parse.urlencode(fields)}"},
        )

    wrong = [refusal(200, suffix="\n"), refusal(200, prefix=" "), refusal(200, prefix="no")]
    callbacks = []
    for reply in (*wrong, *map(refusal, (301, 302, 303, 307, 308, 400, 404, 410))):
        callbacks.append(subscribers.add(f"callback-{next(NUMBERS)}"))
        subscribe(service, "/feeds/en.atom", callbacks[-1], secret="kept")
        callbacks[-1].reply = reply
        subscribe(service, "/feeds/en.atom", callbacks[-1], secret="changed")
        unsubscribe(service, "/feeds/en.atom", callbacks[-1])
    publish(service)
    for callback in callbacks:
        require_distribution(service, "/feeds/en.atom", callback.await_content(), "kept")
    assert elsewhere.questions == []


def test_what_is_accepted_does_not_wait_for_the_callback(service: Service, subscribers: Subscribers) -> None:
    """A callback that hangs is one of which the hub knows nothing when it answers 202."""
    gate = threading.Event()

    def hang(fields: dict[str, str]) -> tuple[int, bytes, dict[str, str]]:
        gate.wait(20)
        return 200, fields["hub.challenge"].encode(), {}

    callback = subscribers.add(f"callback-{next(NUMBERS)}", reply=hang)
    assert ask(service, "subscribe", "/feeds/en.atom", callback) == 202
    assert callback.questions == []
    gate.set()
    callback.await_question()


def test_a_subscription_survives_failures_and_is_sent_the_newest(service: Service, callback: Callback) -> None:
    subscribe(service, "/feeds/en.rss", callback)
    callback.status = lambda: 404
    publish(service)
    callback.await_content()
    callback.status = lambda: 200
    publish(service)
    require_distribution(service, "/feeds/en.rss", callback.await_content(2))


def test_who_answers_410_is_sent_nothing_more(service: Service, callback: Callback, subscribers: Subscribers) -> None:
    witness = subscribers.add(f"callback-{next(NUMBERS)}")
    for each in (callback, witness):
        subscribe(service, "/feeds/en.json", each)
    callback.status = lambda: 410
    publish(service)
    for each in (callback, witness):
        each.await_content()
    state = "SELECT state FROM subscriptions WHERE callback = :callback"
    wait_until(lambda: select(service.storage, state, callback) == "ended", "the subscription ends")
    publish(service)
    witness.await_content(2)
    assert len(callback.received) == 1
    assert service.call("/v1/notices")["items"] == [], "of its owner we know nothing"


def test_a_withdrawal_is_sent_like_any_change(service: Service, callback: Callback) -> None:
    subscribe(service, "/feeds/zh.atom", callback)
    release_id = publish(service)
    tombstone = entry_id(UUID(release_id), "zh-Hans").encode()
    assert callback.await_content().body.count(tombstone) == 1
    service.call(f"/v1/releases/{release_id}/withdraw", {"reason": {"en": "An error."}}, headers={"If-Match": "*"})
    sent = callback.await_content(2)
    assert b'deleted-entry' in sent.body and b'ref="%s"' % tombstone in sent.body
    require_distribution(service, "/feeds/zh.atom", sent)


def test_who_deletes_a_subscription_has_its_subscriber_told_why(service: Service, callback: Callback) -> None:
    subscribe(service, "/feeds/zh.atom", callback)
    listed = service.call("/v1/subscriptions?limit=100")["items"]
    [mine] = [each for each in listed if each["callback"] == callback.url]
    assert (mine["channel"], mine["topic"], mine["partner"]) == ("websub", "/feeds/zh.atom", "127.0.0.1")
    service.call(f"/v1/subscriptions/{mine['id']}", method="DELETE")
    told = callback.await_question(2)
    assert told == {
        "hub.mode": "denied", "hub.topic": f"{service.base_url}/feeds/zh.atom",
        "hub.reason": "新闻编辑部已取消这项订阅。",
    }


def test_an_expired_lease_ends_the_subscription(service: Service, callback: Callback) -> None:
    subscribe(service, "/feeds/en.atom", callback)
    with service.storage.write() as tx:
        statement = "UPDATE subscriptions SET lease_until = created_at WHERE callback = :callback"
        tx.execute(sa.text(statement), {"callback": callback.url})
    wait_until(
        lambda: select(service.storage, "SELECT ended_reason FROM subscriptions WHERE callback = :callback", callback)
        == "lease_over", "the lease ends it",
    )


@pytest.mark.parametrize("name", ["topic", "url"])
def test_a_publishers_ping_is_taken_kindly(service: Service, name: str) -> None:
    fields = {"hub.mode": "publish", f"hub.{name}": f"{service.base_url}/feeds/en.atom"}
    assert post(service, fields)[0] == 202


def test_faults_are_told_all_at_once_in_plain_text(service: Service) -> None:
    fields = {"hub.mode": "subscribe", "hub.topic": f"{service.base_url}/feeds/fr.atom", "hub.callback": "ftp://x/"}
    status, headers, text = post(service, fields, **{"Accept-Language": "zh"})
    assert (status, headers["content-type"], headers["content-language"]) == (422, "text/plain; charset=utf-8", "zh")
    assert [line.partition(":")[0] for line in text.splitlines()[2:]] == ["hub.callback", "hub.topic"]
    assert "订阅源" in text
    assert "no such feed" in post(service, fields)[2]


def test_a_subscription_is_not_lost_with_the_worker_and_the_broker(service: Service, callback: Callback) -> None:
    service.kill("worker")
    assert ask(service, "subscribe", "/feeds/en.atom", callback) == 202
    service.valkey.flush()
    service.start("worker")
    callback.await_question()
