"""Standard Webhooks 1.0.0: one signed POST."""

from __future__ import annotations

from collections.abc import Generator
from datetime import datetime

from service.config import VERSION
from service.model import Claim
from service.signing import list_former, sign_with_all
from workers.outbound import Request, Response


def push(claim: Claim, now: datetime) -> Generator[Request, Response, Response]:
    timestamp = int(now.timestamp())
    live = [claim.secret.reveal(), *list_former(claim.former_secrets.reveal(), now)]
    return (yield Request(claim.callback, claim.body, {
        "content-type": claim.media_type,
        "user-agent": f"Diglot/{VERSION}",
        "webhook-id": claim.message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": sign_with_all(live, claim.message_id, timestamp, claim.body),
    }))
