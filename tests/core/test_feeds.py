"""What an entry of a feed carries."""

from __future__ import annotations

import pytest

from service.feeds import LONGEST_BODY_BYTES, content_html
from service.model import Edition

URL = "https://news.example/zh/releases/x?a&b"


def edition(language: str, body: str, dateline: str | None = None) -> Edition:
    return Edition(
        language=language, headline="H", summary="1 < 2", body_text=body, body_html=f"<p>{body}</p>", dateline=dateline
    )


@pytest.mark.parametrize("dateline", [None, "A & B"])
def test_a_body_within_the_limit_is_carried_whole(dateline: str | None) -> None:
    body = "文" * ((LONGEST_BODY_BYTES - len("<p></p>")) // 3)
    expected = f"<p>A &amp; B</p>\n<p>{body}</p>" if dateline else f"<p>{body}</p>"
    assert content_html(edition("zh-Hans", body, dateline), URL) == expected


@pytest.mark.parametrize(("language", "words"), [("zh-Hant", "阅读全文"), ("en", "Read the whole text")])
def test_instead_of_a_longer_one_stand_its_summary_and_the_way_to_it(language: str, words: str) -> None:
    """Counted in bytes, as feeds are sent; readers fetch the whole feed for each new entry."""
    content = content_html(edition(language, "文" * (LONGEST_BODY_BYTES // 3), "A & B"), URL)
    assert content == (
        "<p>A &amp; B</p>\n<p>1 &lt; 2</p>\n"
        f'<p><a href="https://news.example/zh/releases/x?a&amp;b">{words}</a></p>'
    )
