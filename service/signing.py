"""Standard Webhooks 1.0.0, symmetric signatures (scheme ``v1``, HMAC-SHA256)."""

from __future__ import annotations

import base64
import hmac
import secrets

_PREFIX = "whsec_"
_KEY_BYTES = 32


def make_secret() -> str:
    """A new secret: ``whsec_`` and the base64 of 32 random bytes.

    Standard Webhooks, "Signature scheme": 24 to 64 bytes, base64, prefixed for symmetric keys.
    """
    return _PREFIX + base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode()


def sign(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """The value of ``webhook-signature`` for one attempt; ``timestamp`` is in seconds since the epoch.

    Standard Webhooks, "Signature scheme": what is signed is ``id.timestamp.body``, so the timestamp must
    be that of the attempt and ``body`` the very bytes that are sent. Raises ValueError for a secret that
    is no base64.
    """
    key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    digest = hmac.digest(key, f"{message_id}.{timestamp}.".encode() + body, "sha256")
    return "v1," + base64.b64encode(digest).decode()
