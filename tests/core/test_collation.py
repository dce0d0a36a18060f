"""Names stand where a reader of the language looks for them."""

from __future__ import annotations

from service.collation import collate
from service.messages import say

CATEGORIES = {
    "visits": {"zh-Hans": "访问交流", "en": "Visits"},
    "agreements": {"zh-Hans": "重要协议", "en": "agreements"},
    "events": {"zh-Hans": "会议活动", "en": "Events"},
}


def test_chinese_is_sorted_by_pinyin() -> None:
    """Code points would give 会, 北, 重; by its other sound 重 would come last too."""
    assert collate(["会议", "重庆", "北京"], "zh-Hans") == ["北京", "重庆", "会议"]


def test_letters_are_sorted_whatever_their_case_or_accent() -> None:
    assert collate(["Zulu", "beta", "Eclat", "Éclair", "Alpha"], "en") == ["Alpha", "beta", "Éclair", "Eclat", "Zulu"]


def test_known_categories_are_told_by_name_in_the_order_of_the_reader() -> None:
    chinese = say("zh", "fault.unknown_category", known=CATEGORIES)
    assert "访问交流（visits）、会议活动（events）、重要协议（agreements）" in chinese
    english = say("en", "fault.unknown_category", known=CATEGORIES)
    assert "agreements (agreements), Events (events), Visits (visits)" in english


def test_a_newsroom_without_categories_has_none_to_tell() -> None:
    assert say("en", "fault.unknown_category", known={}).endswith("none.")
