"""E-mail: one message with all languages, or one for each, over the operator's own mail server."""

from __future__ import annotations

from collections.abc import Generator
from datetime import datetime

from service.letters import Letter, write_letters
from service.mail import MailServer, build_message
from service.model import Claim
from service.unsubscribing import make_token
from workers import context
from workers.outbound import Mail, Response


def mail(claim: Claim, now: datetime) -> Generator[Mail, Response, Response]:
    """Each attempt sends the same Message-IDs and dates, by which a repeat is known."""
    server = context.settings().mail
    response = Response(status=None, error="mail_not_set_up", duration_ms=0)
    if server is None:
        return response
    link = f"{context.profile().base_url}/unsubscribe/{make_token(claim.subscription_id, claim.secret.reveal())}"
    for letter in write_letters(claim.body, claim.settings, link):
        recipient = claim.callback.removeprefix("mailto:")
        message = _build(letter, claim, server, recipient, link)
        response = yield Mail(server.sender.addr_spec, recipient, message)
        if response.status is None or response.status >= 300:
            break
    return response


def _build(letter: Letter, claim: Claim, server: MailServer, recipient: str, link: str) -> bytes:
    return build_message(
        server.sender, recipient, letter.subject, letter.text, html=letter.html, at=claim.first_due_at,
        message_id=".".join((claim.message_id, *letter.languages)),
        headers={
            "Content-Language": ", ".join(letter.languages),
            # RFC 8058 section 3.1: one click, by a POST that needs nothing else.
            "List-Unsubscribe": f"<{link}>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        },
    )
