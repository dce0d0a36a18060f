"""Standard Webhooks 1.0.0: signatures of the scheme ``v1`` (HMAC-SHA256) and ``v1a`` (Ed25519), and their secrets."""

from __future__ import annotations

import base64
import hmac
import json
import secrets
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

# Standard Webhooks, "Signature scheme": what a secret is, is told by how it begins.
_SYMMETRIC, _PRIVATE, _PUBLIC = "whsec_", "whsk_", "whpk_"
_KEY_BYTES = 32
# How long a former secret signs beside the new one, and how many of them at most.
OVERLAP = timedelta(hours=24)
MOST_FORMER = 4


def make_secret() -> str:
    """A new secret: ``whsec_`` and the base64 of 32 random bytes.

    Standard Webhooks, "Signature scheme": 24 to 64 bytes, base64, prefixed for symmetric keys.
    """
    return _SYMMETRIC + base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode()


def make_private_key() -> str:
    """A new secret for ``v1a``: ``whsk_`` and the base64 of an Ed25519 seed (RFC 8032 section 5.1.5)."""
    return _PRIVATE + base64.b64encode(Ed25519PrivateKey.generate().private_bytes_raw()).decode()


def find_public_key(secret: str) -> str | None:
    """What the receiver verifies by: ``whpk_`` and the base64 of 32 bytes; None for a symmetric secret."""
    if not secret.startswith(_PRIVATE):
        return None
    return _PUBLIC + base64.b64encode(_private_key(secret).public_key().public_bytes_raw()).decode()


def sign(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """One signature for ``webhook-signature``; ``timestamp`` is in seconds since the epoch.

    Standard Webhooks, "Signature scheme": what is signed is ``id.timestamp.body``, so the timestamp must
    be that of the attempt and ``body`` the very bytes that are sent. Raises ValueError for a secret that
    is no base64.
    """
    content = f"{message_id}.{timestamp}.".encode() + body
    if secret.startswith(_PRIVATE):
        return "v1a," + base64.b64encode(_private_key(secret).sign(content)).decode()
    key = base64.b64decode(secret.removeprefix(_SYMMETRIC), validate=True)
    return "v1," + base64.b64encode(hmac.digest(key, content, "sha256")).decode()


def sign_with_all(live: Iterable[str], message_id: str, timestamp: int, body: bytes) -> str:
    """The value of ``webhook-signature`` while a secret is being changed: one of each, apart by spaces."""
    return " ".join(sign(secret, message_id, timestamp, body) for secret in live)


def retire_secret(former: str, secret: str, now: datetime) -> str:
    """The former secrets with this one, which the new one replaces; what has run out is forgotten.

    Several, for a new secret whose answer was lost on its way may be replaced before anybody had it.
    """
    kept = [[secret, (now + OVERLAP).isoformat()], *([old, end] for old, end in _read(former) if _is_live(end, now))]
    return json.dumps(kept[:MOST_FORMER])


def list_former(former: str, now: datetime) -> list[str]:
    """The former secrets that still sign."""
    return [secret for secret, end in _read(former) if _is_live(end, now)]


def _read(former: str) -> Iterator[tuple[str, str]]:
    yield from json.loads(former) if former else ()


def _is_live(end: str, now: datetime) -> bool:
    return now < datetime.fromisoformat(end)


def _private_key(secret: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(base64.b64decode(secret.removeprefix(_PRIVATE), validate=True))
