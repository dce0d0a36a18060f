"""A real SMTP server on loopback, that keeps what it is given or refuses as it is told."""

from __future__ import annotations

import email
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.policy import default
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


@dataclass
class Mailbox:
    """``refuse`` answers a recipient, ``refuse_data`` a message; both may change while it runs."""

    url: str = ""
    refuse: str | None = None
    refuse_data: str | None = None
    received: list[tuple[str, list[str], bytes]] = field(default_factory=list)
    logins: list[tuple[bytes, bytes]] = field(default_factory=list)

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any) -> str:
        if self.refuse:
            return self.refuse
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        if self.refuse_data:
            return self.refuse_data
        self.received.append((envelope.mail_from, envelope.rcpt_tos, envelope.content))
        return "250 OK"

    def login(self, _server: SMTP, _session: Any, _envelope: Any, _mechanism: str, auth: LoginPassword) -> AuthResult:
        self.logins.append((auth.login, auth.password))
        return AuthResult(success=auth.password == b"right", handled=False)

    def messages(self) -> list[EmailMessage]:
        return [email.message_from_bytes(content, policy=default) for _, _, content in self.received]


def make_certificate(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """The file of a certificate for loopback that signs itself, and what serves it."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=True)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    public, private = folder / "certificate.pem", folder / "key.pem"
    public.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(key.private_bytes(serialization.Encoding.PEM, *form))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(public, private)
    return public, context


class _Controller(Controller):
    """On a port that is ours already: the original asks for a number."""

    def __init__(self, mailbox: Mailbox, listening: socket.socket, **options: Any) -> None:
        super().__init__(mailbox, hostname="127.0.0.1", port=listening.getsockname()[1], **options)
        self._listening = listening

    def _create_server(self) -> Any:
        return self.loop.create_server(self._factory_invoker, sock=self._listening)


@contextmanager
def run_smtp(tls: ssl.SSLContext | None = None) -> Iterator[Mailbox]:
    """With `tls` it offers STARTTLS, and logs in whoever says the password `right`."""
    mailbox = Mailbox()
    options = {"tls_context": tls, "auth_required": True, "authenticator": mailbox.login} if tls else {}
    controller = _Controller(mailbox, socket.create_server(("127.0.0.1", 0)), **options)
    controller.start()
    try:
        mailbox.url = f"smtp://127.0.0.1:{controller.port}"
        yield mailbox
    finally:
        controller.stop()
