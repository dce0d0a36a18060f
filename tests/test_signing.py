"""Our signatures and those of the Standard Webhooks project are the same."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from service.signing import make_secret, sign

BODY = '{"type":"release.published","data":{"headline":"上合组织峰会在天津举行"}}'.encode()
MESSAGE_ID = "msg_0193588a5f5c7c3e9d1b"


def _headers(signature: str, timestamp: int) -> dict[str, str]:
    return {"webhook-id": MESSAGE_ID, "webhook-timestamp": str(timestamp), "webhook-signature": signature}


def test_a_signature_equals_the_published_example() -> None:
    """The test vector that the Standard Webhooks libraries share."""
    signature = sign(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
    )
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_library_accepts_what_we_sign() -> None:
    secret, now = make_secret(), int(datetime.now(UTC).timestamp())
    headers = _headers(sign(secret, MESSAGE_ID, now, BODY), now)
    assert Webhook(secret).verify(BODY, headers)["data"] == {"headline": "上合组织峰会在天津举行"}


def test_the_library_refuses_another_body_under_our_signature() -> None:
    secret, now = make_secret(), int(datetime.now(UTC).timestamp())
    headers = _headers(sign(secret, MESSAGE_ID, now, BODY), now)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(BODY.replace("天津".encode(), "青岛".encode()), headers)


def test_we_sign_what_the_library_signs() -> None:
    secret, now = make_secret(), datetime(2026, 11, 24, 4, 0, tzinfo=UTC)
    theirs = Webhook(secret).sign(MESSAGE_ID, now, BODY.decode())
    assert sign(secret, MESSAGE_ID, int(now.timestamp()), BODY) == theirs


def test_a_secret_is_32_random_bytes_with_the_prefix_of_the_standard() -> None:
    first, second = make_secret(), make_secret()
    assert first != second
    assert first.startswith("whsec_")
    assert len(base64.b64decode(first.removeprefix("whsec_"), validate=True)) == 32
