"""A site has longer than a webhook, and its claim lasts as long; what goes over plain HTTP stays on our networks."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pycurl
import pytest
from celery import Celery

from service import subscriptions
from service.deliveries import plan_test
from service.model import Channel, Claim, EventType, Release, Secret
from service.networks import AllowedNetworks, vet_address
from service.retries import CLAIM, HOST_BURST, HOST_ROOM, LONG_ATTEMPT_SECONDS, LONG_CLAIM, MOMENT
from service.storage import Storage
from service.storage.tables import deliveries
from tests.conftest import StoppedClock
from tests.faults.processes import wait_until
from tests.raw import answer, run_partner
from workers.channels.wordpress_site import Site
from workers.ledger import Ledger
from workers.outbound import File, Outbound, Request
from workers.transfers import Transfer

LOOPBACK = AllowedNetworks.parse("127.0.0.0/8")
SITE = {"partner": "P", "channel": "wordpress", "languages": ["en"], "username": "u", "application_password": "abcd"}


@pytest.mark.parametrize(("channel", "lasts"), [("wordpress", LONG_CLAIM), ("webhook", CLAIM)])
def test_a_claim_lasts_longer_than_its_channels_attempt(
    workers_app: Celery, storage: Storage, clock: StoppedClock, channel: str, lasts: object
) -> None:
    from workers.courier import Courier

    assert LONG_CLAIM.total_seconds() > LONG_ATTEMPT_SECONDS[Channel.WORDPRESS]
    with run_partner(lambda connection, over: over.wait(30)) as (url, accepted):
        order = {**SITE, "channel": channel, "callback": url}
        plan_test(storage, subscriptions.subscribe(storage, order, clock()), clock())
        courier = Courier(storage, Outbound(LOOPBACK), "me", clock)
        courier.start()
        courier.nudge()
        wait_until(lambda: bool(accepted), "the site is asked", seconds=10)
        with storage.read() as tx:
            until = tx.execute(deliveries.select()).one().claim_until
    courier.stop()
    assert until == clock() + lasts


def test_of_what_is_claimed_together_only_the_sites_are_held_longer(storage: Storage, clock: StoppedClock) -> None:
    for channel in ("webhook", "wordpress"):
        order = {**SITE, "channel": channel, "callback": f"https://{channel}.example/wp-json"}
        plan_test(storage, subscriptions.subscribe(storage, order, clock()), clock())
    held = {claim.channel: claim.until for claim in Ledger(storage, "me", clock).record_and_claim([], (99, 99))}
    assert held == {Channel.WEBHOOK: clock() + CLAIM, Channel.WORDPRESS: clock() + LONG_CLAIM}


def test_sites_of_one_host_are_in_their_first_moment_no_longer_than_others(
    storage: Storage, clock: StoppedClock
) -> None:
    """Nor do they hold up what else goes to that host, as long as there is room for it."""
    for number in range(HOST_ROOM + 1):
        order = {**SITE, "channel": "wordpress", "callback": f"https://sites.example/{number}/wp-json"}
        plan_test(storage, subscriptions.subscribe(storage, order, clock()), clock())
    ledger, begun = Ledger(storage, "me", clock), []
    for _ in range(HOST_ROOM // HOST_BURST + 1):
        begun.append(len(ledger.record_and_claim([], (99, 99))))
        clock.advance(seconds=2 * MOMENT.total_seconds())
    assert begun == [HOST_BURST] * (HOST_ROOM // HOST_BURST) + [0]


def test_a_password_goes_in_the_clear_to_the_operators_networks_alone(
    claim_of: Callable[..., Claim], release: Release
) -> None:
    def first_request(callback: str) -> Request:
        site = {"callback": callback, "secret": Secret("p"), "settings": {"username": "u"}}
        claim = claim_of(release, EventType.RELEASE_PUBLISHED, channel=Channel.WORDPRESS, **site)
        return next(Site(claim).get("wp/v2/posts"))

    assert first_request("http://site.example/wp-json").confined
    assert not first_request("https://site.example/wp-json").confined
    assert vet_address("93.184.215.14", 80, LOOPBACK, confined=True) == "address_refused"
    assert vet_address("127.0.0.1", 8000, LOOPBACK, confined=True) is None
    assert vet_address("93.184.215.14", 80, LOOPBACK) is None


@pytest.mark.parametrize("confined", [True, False])
def test_what_is_confined_is_vetted_so_when_the_socket_is_opened(confined: bool) -> None:
    """A socket that is made is not yet connected."""
    public = (socket.AF_INET, socket.SOCK_STREAM, 6, ("93.184.215.14", 80))
    outbound = Outbound(LOOPBACK)
    transfer = Transfer(outbound._vet, 1)
    transfer.begin(None, Request("http://site.example/", b"", {}, confined=confined))
    opened = transfer.open_socket(0, public)
    outbound.close()
    assert (opened == pycurl.SOCKET_BAD) is confined
    if isinstance(opened, socket.socket):
        opened.close()


def test_what_is_confined_goes_over_no_connection_that_another_push_left_open() -> None:
    """A webhook on the same host may be wherever it likes: its connection was never vetted for a password."""
    with run_partner(stay) as (url, accepted):
        outbound = Outbound(LOOPBACK)
        outbound._vet = lambda _ip, _port, confined: "address_refused" if confined else None
        for confined, expected in ((False, None), (True, "address_refused"), (False, None)):
            outbound.start(Request(url, b"{}", {}, confined=confined), "it")
            assert [response.error for _, response in outbound.wait(10)] == [expected]
        outbound.close()
        assert len(accepted) == 1, "others go over the one that is open"


def stay(connection: socket.socket, _over: threading.Event) -> None:
    """Answers, and whatever else comes over the same connection too."""
    is_asked = True
    while is_asked:
        connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
        is_asked = bool(connection.recv(65536))


def test_what_sent_a_form_is_let_go_of_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture's handle is as large as a small picture, and the garbage collector seldom comes."""
    made: list[pycurl.Curl] = []
    make = Outbound._make_handle
    monkeypatch.setattr(Outbound, "_make_handle", lambda outbound: made.append(make(outbound)) or made[-1])
    (tmp_path / "x").write_bytes(b"x")
    with run_partner(answer(b"HTTP/1.1 204 No Content\r\n\r\n")) as (url, _):
        outbound = Outbound(LOOPBACK)
        outbound.start(Request(url, b"", {}, form={"file": File(tmp_path / "x", "x", "image/png")}), "it")
        assert [response.status for _, response in outbound.wait(10)] == [204]
    with pytest.raises(pycurl.error):
        made[0].getinfo(pycurl.RESPONSE_CODE)
    outbound.close()


def test_a_file_that_is_gone_is_an_error_and_no_crash(tmp_path: Path) -> None:
    outbound = Outbound(LOOPBACK)
    outbound.start(Request("http://127.0.0.1:9/", b"", {}, form={"file": File(tmp_path / "x", "x", "image/png")}), "it")
    assert [(context, response.error) for context, response in outbound.wait(5)] == [("it", "file_missing")]
    outbound.close()
