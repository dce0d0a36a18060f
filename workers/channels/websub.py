"""W3C WebSub section 7: the feed as it now is, in one POST."""

from __future__ import annotations

from collections.abc import Generator
from datetime import datetime

from service.config import VERSION
from service.model import Claim
from service.websub import sign_content
from workers.outbound import Request, Response


def distribute(claim: Claim, now: datetime) -> Generator[Request, Response, Response]:
    headers = {
        "content-type": f"{claim.media_type}; charset=utf-8",
        "link": claim.link or "",
        "user-agent": f"Diglot/{VERSION}",
    }
    if secret := claim.secret.reveal():
        headers["x-hub-signature"] = sign_content(secret, claim.body)
    return (yield Request(claim.callback, claim.body, headers))
