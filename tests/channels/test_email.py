"""E-mail by a real SMTP server: a message for each release or each language, and no header that nobody meant."""

from __future__ import annotations

import dataclasses
import email
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email.headerregistry import Address
from email.policy import default
from pathlib import Path

import pytest

from service.clock import new_id
from service.config import Profile
from service.mail import build_message, is_address
from service.model import Channel, Claim, Event, EventType, Release, Secret, Withdrawal
from service.networks import AllowedNetworks
from service.payloads import release_body
from service.unsubscribing import make_token
from tests.channels.conftest import TAGS, Serve
from tests.services.smtp import Mailbox, make_certificate, run_smtp
from workers import context
from workers.outbound import Mail, Outbound

PUBLISHED, CORRECTED, WITHDRAWN = (
    EventType.RELEASE_PUBLISHED, EventType.RELEASE_CORRECTED, EventType.RELEASE_WITHDRAWN,
)
Owe = Callable[..., Claim]


@pytest.fixture
def mailbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mailbox]:
    with run_smtp() as running:
        use(running, monkeypatch)
        yield running
    context.settings.cache_clear()


def use(mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch, user: str = "") -> None:
    monkeypatch.setenv("DIGLOT_SMTP_URL", mailbox.url.replace("//", f"//{user}"))
    monkeypatch.setenv("DIGLOT_MAIL_FROM", "新闻室 <press@news.example>")
    context.settings.cache_clear()


@pytest.fixture
def owe(claim_of: Owe) -> Owe:
    def make(release: Release, type: EventType = PUBLISHED, **traits: object) -> Claim:
        mail = {"channel": Channel.EMAIL, "callback": "mailto:desk@daily.example", "secret": Secret("whsec_x")}
        return claim_of(release, type, **(mail | traits))

    return make


def test_one_message_holds_both_languages_as_text_and_as_html(
    mailbox: Mailbox, release: Release, owe: Owe, serve: Serve
) -> None:
    assert serve(owe(release)).status == 250
    [(sender, recipients, content)] = mailbox.received
    [message] = mailbox.messages()
    assert (sender, recipients, content.isascii()) == ("press@news.example", ["desk@daily.example"], True)
    assert all(len(line) <= 998 for line in content.splitlines())
    assert (message["from"], message["to"]) == ("新闻室 <press@news.example>", "desk@daily.example")
    headlines = [release.edition(tag).headline for tag in TAGS]
    assert message["subject"] == " / ".join(headlines)
    assert message.get_content_type() == "multipart/alternative"
    text, markup = (message.get_body([kind]).get_content() for kind in ("plain", "html"))
    for tag in TAGS:
        edition = release.edition(tag)
        assert edition.body_text in text.replace("\r\n", "\n") and edition.body_html in markup.replace("\r\n", "\n")
        assert f'<section lang="{tag}">' in markup
    assert 'alt="A crane &amp; a ship"' in markup
    assert "href=\"http" in markup and "<script" not in markup


def test_a_message_for_each_language_where_it_was_ordered_so(
    mailbox: Mailbox, release: Release, owe: Owe, serve: Serve
) -> None:
    assert serve(owe(release, settings={"messages": "apart"})).status == 250
    messages = mailbox.messages()
    assert [message["content-language"] for message in messages] == list(TAGS)
    assert [message["subject"] for message in messages] == [release.edition(tag).headline for tag in TAGS]
    assert len({message["message-id"] for message in messages}) == len(TAGS)


@pytest.mark.parametrize("settings", [{}, {"messages": "apart"}])
def test_a_repeat_has_the_same_message_ids_and_dates(
    mailbox: Mailbox, release: Release, owe: Owe, serve: Serve, settings: dict[str, str]
) -> None:
    """Cut off after the first answer, as by a killed courier, and then whole."""
    claim = owe(release, settings=settings)
    serve(claim, answers=1)
    once = len(mailbox.received)
    assert serve(claim).status == 250
    told = [(message["message-id"], message["date"]) for message in mailbox.messages()]
    assert told[:once] == told[once:2 * once]
    assert len(set(told)) == (2 if settings else 1)
    assert {message["date"].datetime for message in mailbox.messages()} == {claim.first_due_at.replace(microsecond=0)}


def test_one_click_unsubscribes_as_mail_programs_expect(
    mailbox: Mailbox, release: Release, owe: Owe, serve: Serve
) -> None:
    """RFC 8058 section 3.1: one HTTPS address, and the header that says that a POST suffices."""
    claim = owe(release)
    serve(claim)
    [message] = mailbox.messages()
    link = f"{context.profile().base_url}/unsubscribe/{make_token(claim.subscription_id, 'whsec_x')}"
    assert message["list-unsubscribe"] == f"<{link}>"
    # As it is sent, and not as Python decodes it.
    assert f"\r\nList-Unsubscribe: <{link}>\r\n".encode() in mailbox.received[0][2]
    assert message["list-unsubscribe-post"] == "List-Unsubscribe=One-Click"
    assert link in message.get_body(["plain"]).get_content()
    assert link in message.get_body(["html"]).get_content()


def test_a_correction_and_a_withdrawal_are_told_as_such(
    mailbox: Mailbox, release: Release, owe: Owe, serve: Serve
) -> None:
    serve(owe(dataclasses.replace(release, change_note={"en": "A date was wrong."}), CORRECTED))
    serve(owe(release, WITHDRAWN))
    corrected, withdrawn = mailbox.messages()
    assert corrected["subject"].startswith("更正：") and " / Corrected: " in corrected["subject"]
    assert "A date was wrong." in corrected.get_body(["plain"]).get_content()
    assert "Error." in withdrawn.get_body(["plain"]).get_content()
    assert release.editions[1].headline not in withdrawn.as_string()


def test_a_language_that_the_newsroom_has_given_up_is_mailed_without_a_link(
    mailbox: Mailbox, release: Release, owe: Owe, serve: Serve, profile: Profile
) -> None:
    """It has no pages any more, and may still be owed: by a replay, or as it was accepted before."""
    english = dataclasses.replace(profile, languages=profile.languages[1:])
    for type in (PUBLISHED, WITHDRAWN):
        gone = dataclasses.replace(release, withdrawn_at=release.published_at, withdrawal=Withdrawal(reason={}))
        event = Event(id=new_id(), type=type, created_at=datetime.now(UTC))
        body = release_body(event, gone if type is WITHDRAWN else release, TAGS, english)
        assert serve(owe(release, type, body=body)).status == 250
    published, withdrawn = (message.get_body(["plain"]).get_content() for message in mailbox.messages())
    assert release.editions[0].headline in published and published.count("/releases/") == 1
    assert f" {release.slug} " in withdrawn and "None" not in published + withdrawn


@pytest.mark.parametrize("headline", [
    "Bid\r\nBcc: victim@x.example", "Bid\nBcc: victim@x.example", "Bid\x0bBcc: v", "Bid\x85Bcc: v", "Bid\u2028Bcc: v",
    "Bid\r\n\r\nAnother body", "=?utf-8?q?Bid=0D=0ABcc=3A_victim=40x=2Eexample?=", "B" * 2000, "投标" * 900,
    "Bid\x00", "\u202ereversed",
])
def test_no_headline_makes_a_header(
    mailbox: Mailbox, release: Release, owe: Owe, serve: Serve, headline: str
) -> None:
    edition = dataclasses.replace(release.editions[1], headline=headline)
    body = json.loads(owe(dataclasses.replace(release, editions=(release.editions[1],))).body)
    body["data"]["release"]["editions"]["en"]["headline"] = edition.headline
    claim = owe(release, body=json.dumps(body).encode())
    assert serve(claim).status == 250
    [(_, recipients, content)] = mailbox.received
    [message] = mailbox.messages()
    assert recipients == ["desk@daily.example"]
    assert message["bcc"] is None and len(message.get_all("subject")) == 1
    head = content.split(b"\r\n\r\n")[0].decode("ascii")
    names = [line.partition(":")[0].lower() for line in head.split("\r\n") if not line.startswith((" ", "\t"))]
    assert sorted(names) == sorted({
        "date", "from", "to", "subject", "message-id", "auto-submitted", "content-language", "list-unsubscribe",
        "list-unsubscribe-post", "mime-version", "content-type",
    })


@pytest.mark.parametrize("address", [
    "a@b.example\r\nBcc: v@x.example", "=?utf-8?q?=0D=0ABcc=3Av=40x=2Ee?=@b.example", "a@b.example,v@x.example",
    "a b@c.example", "<a@b.example>", "a@b.example>", '"a b"@c.example', "a@[127.0.0.1]", "端口@b.example",
    "a@b..example", "@b.example", "a@", "a" * 65 + "@b.example", "a@-b.example", "a@b.example\n", "a..b@c.example",
])
def test_no_address_makes_a_header_or_a_second_recipient(address: str) -> None:
    assert not is_address(address)
    with pytest.raises(ValueError, match="no address"):
        build_message(Address("P", "p", "x.example"), address, "s", "t", message_id="m", at=datetime.now(UTC))


def test_a_plain_message_needs_nothing_but_a_subject_and_a_text() -> None:
    at = datetime(2026, 11, 24, 8, tzinfo=UTC)
    sender = Address("P", "p", "x.example")
    content = build_message(sender, "a+b@c.example", "暂停 paused", "文", message_id="m", at=at)
    message = email.message_from_bytes(content, policy=default)
    assert (message["subject"], message["message-id"]) == ("暂停 paused", "<m@x.example>")
    assert message.get_content().strip() == "文"
    assert message["date"].datetime == at and message.get_content_type() == "text/plain"


@pytest.mark.parametrize(("reply", "status"), [
    ("450 4.2.1 Later", 503), ("421 4.3.2 Busy", 503), ("452 4.3.1 Full", 503),
    ("550 5.1.1 No such user", 422), ("554 5.7.1 Refused", 422),
])
@pytest.mark.parametrize("stage", ["refuse", "refuse_data"])
def test_a_reply_of_the_mail_server_is_judged_as_http_judges(
    mailbox: Mailbox, release: Release, owe: Owe, serve: Serve, reply: str, status: int, stage: str
) -> None:
    """What may heal is tried again, what will not is given up; and the words are kept."""
    setattr(mailbox, stage, reply)
    asked: list[Mail] = []
    response = serve(owe(release, settings={"messages": "apart"}), asked=asked)
    assert (response.status, response.error, response.body) == (status, None, reply.encode())
    assert mailbox.received == [] and len(asked) == 1


def test_a_mail_server_that_is_away_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, release: Release, owe: Owe, serve: Serve
) -> None:
    with run_smtp() as gone:
        pass
    use(gone, monkeypatch)
    response = serve(owe(release))
    assert (response.status, response.error) == (None, "connect_failed")


def test_without_a_mail_server_nothing_is_lost(release: Release, owe: Owe, serve: Serve) -> None:
    response = serve(owe(release))
    assert (response.status, response.error) == (None, "mail_not_set_up")


def send(mailbox: Mailbox, ca_bundle: Path) -> tuple[int | None, str | None]:
    outbound = Outbound(AllowedNetworks(), ca_bundle=str(ca_bundle), mail=context.settings().mail)
    outbound.start(Mail("press@news.example", "desk@daily.example", b"Subject: x\r\n\r\ny\r\n"), None)
    [(_, response)] = outbound.wait(20)
    outbound.close()
    return response.status, response.error


def test_a_password_goes_to_a_server_that_proves_itself_and_to_no_other(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ca_bundle, tls = make_certificate(tmp_path)
    with run_smtp(tls) as mailbox:
        use(mailbox, monkeypatch, "us%40er:right@")
        assert send(mailbox, ca_bundle) == (250, None)
        assert mailbox.logins == [(b"us@er", b"right")]
        (tmp_path / "none.pem").touch()
        assert send(mailbox, tmp_path / "none.pem") == (None, "tls_failed")
        use(mailbox, monkeypatch, "user:wrong@")
        assert send(mailbox, ca_bundle) == (None, "login_failed")
    with run_smtp() as plain:
        use(plain, monkeypatch, "user:right@")
        assert send(plain, ca_bundle) == (None, "tls_failed")
        assert plain.logins == plain.received == []
    context.settings.cache_clear()
