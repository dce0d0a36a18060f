"""What staff are told about text that is accepted all the same."""

from __future__ import annotations

from typing import Any

import pytest

from service.config import Profile
from service.model import Draft, Warning
from service.validation import validate_release, validate_revision, validate_withdrawal
from tests.factories import published

# As a Chinese association writes: half-width commas throughout, full stops and enumeration marks full-width.
CHINESE = (
    "近日,江会长一行赴中国—东盟职业教育联合中心调研交流,与沿江师范大学副校长苏闻笛及中心相关负责人座谈。\n\n"
    "江会长介绍协会情况,苏闻笛介绍办学特色、师资力量与教学成果,双方就共建实训室达成初步意向。"
)
ENGLISH = "President Jiang visited the China-ASEAN centre, and both sides agreed on a workshop: it opens soon."


def release(chinese: dict[str, str], english: dict[str, str] | None = None) -> dict[str, Any]:
    return {"editions": {
        "zh-Hans": {"headline": "江会长赴联合中心调研", **chinese},
        "en": {"headline": "Jiang Visits Joint Centre", **(english or {"body_text": ENGLISH})},
    }}


def warnings_of(document: Any, profile: Profile) -> dict[str, Warning]:
    draft: Draft = validate_release(document, profile)
    by_place = {f"{warning.pointer} {warning.code}": warning for warning in draft.warnings}
    assert len(by_place) == len(draft.warnings)
    return by_place


def test_half_width_commas_are_told_with_the_whole_text_mended(profile: Profile) -> None:
    """One warning, for the one field at fault, and not a word about the English edition."""
    document = release({"body_text": CHINESE})
    found = warnings_of(document, profile)
    assert list(found) == ["/editions/zh-Hans/body_text half_width_punctuation"]
    [warning] = found.values()
    assert warning.suggestion == CHINESE.replace(",", "，")


def test_what_was_sent_is_published_as_it_was_sent(profile: Profile) -> None:
    edition = validate_release(release({"body_text": CHINESE}), profile).editions[0]
    assert edition.body_text == CHINESE
    assert edition.body_html == "".join(f"<p>{part}</p>\n" for part in CHINESE.split("\n\n")).rstrip()


def test_each_line_is_looked_at(profile: Profile) -> None:
    lines = {"headline": "到访,座谈", "summary": "到访,座谈。", "dateline": "临江,9月18日"}
    found = warnings_of(release({**lines, "body_text": "双方座谈。"}), profile)
    assert {place: warning.suggestion for place, warning in found.items()} == {
        f"/editions/zh-Hans/{name} half_width_punctuation": value.replace(",", "，") for name, value in lines.items()
    }


def test_so_is_each_line_about_a_picture(profile: Profile) -> None:
    medium = {
        "url": "https://cdn.example/a.jpg", "type": "image/jpeg", "title": {"zh-Hans": "座谈,第一天"},
        "alt": {"zh-Hans": "双方握手,微笑", "en": "A handshake, smiling"}, "credit": {"zh-Hans": "摄影:顾念"},
    }
    found = warnings_of(release({"body_text": "双方座谈。"}) | {"media": [medium]}, profile)
    assert {place: warning.suggestion for place, warning in found.items()} == {
        "/media/0/title/zh-Hans half_width_punctuation": "座谈，第一天",
        "/media/0/alt/zh-Hans half_width_punctuation": "双方握手，微笑",
        "/media/0/credit/zh-Hans half_width_punctuation": "摄影：顾念",
    }


def test_so_is_each_note_to_readers(profile: Profile) -> None:
    kept = validate_release(release({"body_text": "双方座谈。"}), profile)
    public = published(kept)
    notes = {"zh-Hans": "日期有误,已更正。", "en": "A date, as printed, was wrong."}
    corrected = validate_revision(release({"body_text": "双方座谈。"}) | {"change_note": notes}, profile, public)
    _, withdrawn = validate_withdrawal({"reason": notes}, profile, public)
    assert [(warning.pointer, warning.suggestion) for warning in (*corrected.warnings, *withdrawn)] == [
        ("/change_note/zh-Hans", "日期有误，已更正。"), ("/reason/zh-Hans", "日期有误，已更正。"),
    ]


@pytest.mark.parametrize(("field", "source", "suggestion"), [
    ("body_markdown", "近日,**双方**,座谈。", "近日，**双方**，座谈。"),
    ("body_html", "<p>近日,<b>双方</b>,座谈。</p>", "<p>近日，<b>双方</b>，座谈。</p>"),
    ("body_html", "<p>近日&#44;双方座谈。</p>", None),
    ("body_markdown", "近日座谈`双方,座谈`。", None),
])
def test_markup_is_mended_only_where_the_words_come_out_the_same(
    field: str, source: str, suggestion: str | None, profile: Profile
) -> None:
    [warning] = warnings_of(release({field: source}), profile).values()
    assert (warning.pointer, warning.code) == (f"/editions/zh-Hans/{field}", "half_width_punctuation")
    assert warning.suggestion == suggestion


def test_traditional_characters_in_a_simplified_edition_are_named(profile: Profile) -> None:
    [warning] = warnings_of(release({"body_text": "双方就國際合作座谈。"}), profile).values()
    assert (warning.pointer, warning.code) == ("/editions/zh-Hans/body_text", "mixed_han")
    assert warning.params == {"language": "简体中文", "characters": ["國", "際"]}


def test_at_most_twenty_characters_are_named(profile: Profile) -> None:
    text = "會議開幕時雙方領導與學員參觀實訓車間並聽取課程報告後達成協議簽署備忘錄"
    [warning] = warnings_of(release({"body_text": text}), profile).values()
    assert len(warning.params["characters"]) == 20


def test_a_lone_pair_of_markers_is_told(profile: Profile) -> None:
    [warning] = warnings_of(release({"body_markdown": "这是_重要_的一步。"}), profile).values()
    assert (warning.code, warning.params) == ("markers_left", {"places": ["这是_重要_的一步。"]})


def test_english_editions_are_not_judged_by_chinese_rules(profile: Profile) -> None:
    english = {"body_text": "The name is 江,海 and 國際 in Chinese, said the two sides of the agreement: it is signed."}
    assert warnings_of(release({"body_text": "双方座谈。"}, english), profile) == {}


@pytest.mark.parametrize(("body", "told"), [
    ({"body_text": "签署\u202e合作\u202c。"}, ["U+202C", "U+202E"]),
    ({"body_html": "<p>签署&#x2067;合作</p><p>。&#x2069;</p>"}, ["U+2067", "U+2069"]),
    ({"body_text": "\u2067שלום\u2069签署\u200f合作。"}, []),
])
def test_what_turns_text_round_in_a_body_is_told_and_kept(
    body: dict[str, str], told: list[str], profile: Profile
) -> None:
    """Each paragraph ends what it began, so nothing beyond it turns round."""
    found = warnings_of(release(body), profile)
    assert [warning.params["characters"] for warning in found.values()] == ([told] if told else [])
    assert {warning.code for warning in found.values()} <= {"direction_kept"}


def test_links_and_pictures_that_are_lost_are_named(profile: Profile) -> None:
    body = "<p>双方座谈。<a href='ftp://x.example'>纪要</a><img src='data:image/png;base64,x' alt='合影'></p>"
    found = warnings_of(release({"body_html": body}), profile)
    assert {warning.code: warning.params for warning in found.values()} == {
        "links_removed": {"links": ["纪要"]}, "pictures_removed": {"pictures": ["合影"]},
    }


@pytest.mark.parametrize("address", [
    "javascript:steal()", "JavaScript&colon;steal()", "vbscript:steal()", "file:///etc/passwd", "data:text/html,x",
    "data:image/png;base64,x", "tel:110", "", "#x",
])
def test_links_and_pictures_of_markdown_are_lost_and_named_like_those_of_html(address: str, profile: Profile) -> None:
    draft = release({"body_markdown": f"双方座谈。[纪要](<{address}>)![合影](<{address}>)"})
    validated = validate_release(draft, profile)
    assert validated.editions[0].body_html == "<p>双方座谈。纪要</p>"
    assert {warning.code: warning.params for warning in validated.warnings} == {
        "links_removed": {"links": ["纪要"]}, "pictures_removed": {"pictures": ["合影"]},
    }


def test_elements_taken_out_are_named(profile: Profile) -> None:
    [warning] = warnings_of(release({"body_html": "<p>双方座谈。</p><iframe></iframe>"}), profile).values()
    assert (warning.code, warning.params) == ("markup_removed", {"elements": ["iframe"]})
