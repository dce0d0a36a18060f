"""Standard Webhooks 1.0.0: one signed POST."""

from __future__ import annotations

from collections.abc import Generator
from datetime import datetime

from service.config import VERSION
from service.model import Claim
from service.signing import sign
from workers.outbound import Request, Response


def push(claim: Claim, now: datetime) -> Generator[Request, Response, Response]:
    timestamp = int(now.timestamp())
    return (yield Request(claim.callback, claim.body, {
        "content-type": "application/json",
        "user-agent": f"Diglot/{VERSION}",
        "webhook-id": claim.message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": sign(claim.secret.reveal(), claim.message_id, timestamp, claim.body),
    }))
