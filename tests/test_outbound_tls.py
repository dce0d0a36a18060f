"""A partner's certificate is believed only if it is that partner's, valid today, and of an authority that we know."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from service.networks import AllowedNetworks
from workers.outbound import Outbound, Request, Response

OK = b"HTTP/1.1 204 No Content\r\n\r\n"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@contextmanager
def run_partner(certificate: trustme.LeafCert) -> Iterator[tuple[int, list[bytes]]]:
    """Its port, and what it was sent after the handshake."""
    context, sent = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), []
    certificate.configure_cert(context)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        def serve() -> None:
            try:
                with context.wrap_socket(listener.accept()[0], server_side=True) as connection:
                    sent.append(connection.recv(65536))
                    connection.sendall(OK)
            except OSError:
                return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1], sent
        thread.join(10)


def post(port: int, authority: trustme.CA, tmp_path: Path) -> Response:
    bundle = tmp_path / "authorities.pem"
    authority.cert_pem.write_to_path(bundle)
    outbound = Outbound(AllowedNetworks.parse("127.0.0.0/8"), deadline_seconds=10, ca_bundle=str(bundle))
    outbound.start(Request(f"https://127.0.0.1:{port}/", b"{}", {}), None)
    [(_, response)] = outbound.wait(20)
    outbound.close()
    return response


def test_a_right_certificate_is_believed(authority: trustme.CA, tmp_path: Path) -> None:
    with run_partner(authority.issue_cert("127.0.0.1")) as (port, sent):
        assert post(port, authority, tmp_path).status == 204
    assert sent


@pytest.mark.parametrize("fault", ["expired", "not yet valid", "of another host", "of a stranger"])
def test_a_wrong_certificate_gets_nothing_of_the_push(authority: trustme.CA, tmp_path: Path, fault: str) -> None:
    now, day = datetime.now(UTC), timedelta(days=1)
    certificate = {
        "expired": lambda: authority.issue_cert("127.0.0.1", not_before=now - 9 * day, not_after=now - day),
        "not yet valid": lambda: authority.issue_cert("127.0.0.1", not_before=now + day, not_after=now + 9 * day),
        "of another host": lambda: authority.issue_cert("partner.example"),
        "of a stranger": lambda: trustme.CA().issue_cert("127.0.0.1"),
    }[fault]()
    with run_partner(certificate) as (port, sent):
        response = post(port, authority, tmp_path)
    assert (response.status, response.error) == (None, "tls_failed")
    assert sent == [] or sent == [b""]
