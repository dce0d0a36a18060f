"""The operator's mail server, as the environment names it."""

from __future__ import annotations

import pytest

from service.errors import ConfigurationError
from service.mail import read_mail_server

FROM = "新闻室 <press@news.example>"


@pytest.mark.parametrize(("url", "expected"), [
    ("smtp://mail.example", ("smtp://mail.example", None, None)),
    ("smtps://mail.example:465/", ("smtps://mail.example:465", None, None)),
    ("smtp://us%40er:p%3A%2Fw@mail.example:587", ("smtp://mail.example:587", "us@er", "p:/w")),
    ("smtp://[::1]:25", ("smtp://[::1]:25", None, None)),
])
def test_a_server_is_read_with_its_user_apart(url: str, expected: tuple[str, str | None, str | None]) -> None:
    server = read_mail_server({"DIGLOT_SMTP_URL": url, "DIGLOT_MAIL_FROM": FROM})
    assert server and (server.url, server.user, server.password) == expected
    assert str(server.sender) == FROM
    assert server.password is None or server.password not in repr(server)


def test_no_server_is_no_fault() -> None:
    assert read_mail_server({"DIGLOT_MAIL_FROM": "nonsense"}) is None


@pytest.mark.parametrize("url", [
    "mail.example", "http://mail.example", "smtp://", "smtp://user:secretword@", "smtp://a:secretword@b:port",
    "smtp://a:secretword@mail.example/path", "smtp://端口.example",
])
def test_an_address_that_can_not_be_used_is_told_without_its_password(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_mail_server({"DIGLOT_SMTP_URL": url, "DIGLOT_MAIL_FROM": FROM})
    assert "DIGLOT_SMTP_URL" in str(caught.value) and "secretword" not in str(caught.value)


@pytest.mark.parametrize("sender", [
    "", "Press", "a@b.example, c@d.example", "a@b.example\r\nBcc: c@d.example", "团队: a@b.example;", "a b@c.example",
])
def test_a_sender_must_be_one_address(sender: str) -> None:
    with pytest.raises(ConfigurationError, match="DIGLOT_MAIL_FROM"):
        read_mail_server({"DIGLOT_SMTP_URL": "smtp://mail.example", "DIGLOT_MAIL_FROM": sender})
