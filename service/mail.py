"""E-mail: whose server takes ours, and one message as the bytes that are sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.headerregistry import Address, AddressHeader, BaseHeader, HeaderRegistry, UnstructuredHeader
from email.message import EmailMessage
from email.policy import SMTP, Policy
from urllib.parse import unquote, urlsplit

import regex

from service.errors import ConfigurationError

_SCHEMES = ("smtp", "smtps")
# What no header may hold (RFC 5322 section 2.2), and what would reorder or hide what follows it.
_UNFIT = regex.compile(r"[\p{Cc}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069]+")
# Where an encoded word (RFC 2047) begins. Python before 3.12.5 decodes one in a value that it is given, and writes the
# line breaks that it finds there as they are: a headline could add headers.
_ENCODED_WORD = "=?"
_ADDRESS = regex.compile(
    r"(?=[^@]{1,64}@)(?=.{3,254}\Z)[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
)


class _AddressOfAList(UnstructuredHeader, BaseHeader):
    """A URL in angle brackets (RFC 2369), in one piece: Python would fold a long one into encoded words.

    RFC 2047 section 5 has none there, and no mail program looks for a link in one.
    """

    def fold(self, *, policy: Policy) -> str:
        return f"{self.name}: {self}{policy.linesep}"


_HEADERS = HeaderRegistry()
_HEADERS.map_to_type("list-unsubscribe", _AddressOfAList)
# Every byte is ASCII (RFC 2047, RFC 2045), so that no server on the way need know more.
_POLICY = SMTP.clone(cte_type="7bit", header_factory=_HEADERS)


@dataclass(frozen=True, slots=True)
class MailServer:
    """The operator's own. ``url`` is without the user; ``sender`` is what stands in From."""

    url: str
    sender: Address
    user: str | None = None
    password: str | None = field(default=None, repr=False)


def read_mail_server(environ: Mapping[str, str]) -> MailServer | None:
    """From `DIGLOT_SMTP_URL` and `DIGLOT_MAIL_FROM`. Raises ConfigurationError, which never repeats a password."""
    text = environ.get("DIGLOT_SMTP_URL") or ""
    if not text:
        return None
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in _SCHEMES or not parts.hostname or parts.path.strip("/") or not text.isascii():
        raise ConfigurationError(
            reason="DIGLOT_SMTP_URL must be such as smtp://user:password@mail.example:587 or smtps://mail.example"
        )
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return MailServer(
        url=f"{parts.scheme}://{host}{f':{port}' if port else ''}", sender=_read_sender(environ),
        user=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
    )


def build_message(
    sender: Address, recipient: str, subject: str, text: str, *, message_id: str, at: datetime,
    html: str | None = None, headers: Mapping[str, str] | None = None,
) -> bytes:
    """One message (RFC 5322), as multipart/alternative where there is HTML too.

    ``message_id`` is without angle brackets or domain; of a repeat it is the same, by which a receiver knows it.
    Raises ValueError for a recipient that is no address.
    """
    if not is_address(recipient):
        raise ValueError(f"no address: {recipient!r}")
    message = EmailMessage(policy=_POLICY)
    message["Date"] = at
    message["From"] = sender
    message["To"] = Address(addr_spec=recipient)
    message["Subject"] = _UNFIT.sub(" ", subject).replace(_ENCODED_WORD, "= ?").strip()
    message["Message-ID"] = f"<{message_id}@{sender.domain}>"
    # RFC 3834: nobody's absence is to be told to us.
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(text, charset="utf-8")
    if html is not None:
        message.add_alternative(html, subtype="html", charset="utf-8")
    # Only now: what begins with Content- would have gone to the first part.
    for name, value in (headers or {}).items():
        message[name] = value
    return message.as_bytes()


def is_address(text: str) -> bool:
    """Whether any server takes mail for it: `local@domain` in ASCII, unquoted (RFC 5321 section 4.1.2)."""
    return _ENCODED_WORD not in text and _ADDRESS.fullmatch(text) is not None


def _read_sender(environ: Mapping[str, str]) -> Address:
    text = environ.get("DIGLOT_MAIL_FROM") or ""
    message = EmailMessage(policy=_POLICY)
    try:
        message["From"] = text
    except ValueError:
        text = ""
    header = message["From"] if text else None
    groups = header.groups if isinstance(header, AddressHeader) else ()
    # An address by itself is a group without a name.
    if [(group.display_name, len(group.addresses)) for group in groups] == [(None, 1)]:
        [address] = groups[0].addresses
        if is_address(address.addr_spec):
            return address
    raise ConfigurationError(
        reason="DIGLOT_MAIL_FROM must be one address, such as Press Office <press@news.example>, where "
        "DIGLOT_SMTP_URL is set"
    )
