"""A page's address is made of words that can be read and typed."""

from __future__ import annotations

import dataclasses
import uuid

import pytest

from service.model import Draft, Edition
from service.slugs import LONGEST, make_slug

ID = uuid.UUID("01990000-0000-7000-8000-0123456789ab")


def slug(*headlines: str) -> str:
    edition = Edition(language="x", headline="", summary="", body_text="", body_html="")
    return make_slug(Draft(editions=tuple(dataclasses.replace(edition, headline=line) for line in headlines)), ID)


@pytest.mark.parametrize(("headlines", "expected"), [
    (("重庆两校签约", "Two Schools Sign"), "two-schools-sign"),
    (("Two Schools Sign", "重庆两校签约"), "two-schools-sign"),
    (("重庆两校签约",), "chong-qing-liang-xiao-qian-yue"),
    (("重慶兩校簽約",), "chong-qing-liang-xiao-qian-yue"),
    (("重庆两校签约", "2026"), "chong-qing-liang-xiao-qian-yue"),
    (("NVIDIA发布“新芯片”，2026年上市",), "nvidia-fa-bu-xin-xin-pian-2026-nian-shang-shi"),
    (("École ouverte",), "ecole-ouverte"),
])
def test_a_latin_headline_makes_the_slug_or_else_pinyin(headlines: tuple[str, ...], expected: str) -> None:
    assert slug(*headlines) == expected


@pytest.mark.parametrize(("headlines", "expected"), [
    ({"zh-Hans": "签约", "en-GB": "They Sign", "fr": "Ils signent"}, "they-sign"),
    ({"fr": "Ils signent", "es": "Firman", "zh-Hans": "签约"}, "ils-signent"),
])
def test_english_comes_first_and_then_the_newsrooms_order(headlines: dict[str, str], expected: str) -> None:
    made = [
        Edition(language=tag, headline=line, summary="", body_text="", body_html="") for tag, line in headlines.items()
    ]
    assert make_slug(Draft(editions=tuple(made)), ID) == expected


def test_a_long_headline_is_cut_between_syllables() -> None:
    """And what is left is its beginning: no short word is fetched from behind a long one."""
    headline = "中国东盟职业教育联合中心创办仪式" * 3
    whole = slug(headline[:10]) + "-"
    made = slug(headline)
    assert made.startswith(whole)
    assert LONGEST - 6 <= len(made) <= LONGEST
    assert made.rsplit("-", 1)[1] in {"zhong", "guo", "dong", "meng", "zhi", "ye", "jiao", "yu", "lian", "he", "xin",
                                      "chuang", "ban", "yi", "shi"}


def test_a_long_english_headline_keeps_the_order_of_its_words() -> None:
    assert slug("Agreement " * 7 + "Internationalization of a b c").endswith("agreement")


def test_a_headline_without_any_letter_falls_back_to_the_id() -> None:
    assert slug("——") == "release-0123456789ab"
