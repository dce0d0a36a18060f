"""Release text is made safe without losing what it says."""

from __future__ import annotations

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from service import text


def test_plain_text_is_escaped_not_cleaned() -> None:
    """An angle bracket in plain text is text: it must reach the reader."""
    assert text.text_to_html("a <b> & c\n\nd\ne") == "<p>a &lt;b&gt; &amp; c</p>\n<p>d<br>e</p>"


@pytest.mark.parametrize(("plain", "parts"), [
    ("\u3000\u3000近日\n\n\u3000\u3000双方", ["\u3000\u3000近日", "\u3000\u3000双方"]),
    ("a\n\n\n  b", ["a", "  b"]),
    ("a\n\xa0\nb\n \u3000\t\n\nc", ["a", "b", "c"]),
    ("\u3000\n\na\n\n\u3000", ["a"]),
])
def test_every_paragraph_keeps_its_indentation_and_an_empty_line_may_hold_spaces(
    plain: str, parts: list[str]
) -> None:
    """Word indents a Chinese paragraph by two wide spaces, and leaves a no-break space where a line is empty."""
    assert text.paragraphs(plain) == parts


@pytest.mark.parametrize(("given_text", "kept", "removed"), [
    ("a\x00b\x0bc", "abc", ["U+0000", "U+000B"]),
    ("a\r\nb\rc", "a\nb\nc", []),
    ("\ud800x\uffff", "x", ["U+D800", "U+FFFF"]),
    ("表情😀", "表情😀", []),
])
def test_characters_outside_xml_are_named_and_removed(given_text: str, kept: str, removed: list[str]) -> None:
    assert text.strip_non_xml(given_text) == (kept, removed)


@pytest.mark.parametrize(("language", "remarks", "joined"), [
    ("zh-Hans", ["日期有误。", "“人名。”", "更正标题", "还有地点！"], "日期有误。“人名。”更正标题；还有地点！"),
    ("ja", ["日付。", "名前"], "日付。名前"),
    ("en", ["A date was wrong.", '"So."', "a name ", "A place?"], 'A date was wrong. "So." a name; A place?'),
    ("ko", ["날짜.", "이름"], "날짜. 이름"),
    ("en", ["The same.", "The other.", "The same."], "The same. The other."),
    ("en", [], ""),
])
def test_remarks_go_on_as_their_language_does(language: str, remarks: list[str], joined: str) -> None:
    assert text.join_remarks(remarks, language) == joined


@given(st.text())
def test_any_text_becomes_well_formed_paragraphs(raw: str) -> None:
    """Whatever arrives, an XML parser reads it back to the letter."""
    plain, _ = text.strip_non_xml(raw)
    tree = etree.fromstring(f"<body>{text.text_to_html(plain).replace('<br>', '<br/>')}</body>")
    read = ["".join(br.text or "" if br.tag == "p" else "\n" + (br.tail or "") for br in p.iter()) for p in tree]
    assert read == text.paragraphs(plain)


def test_an_excerpt_counts_what_people_see_as_characters() -> None:
    """A family emoji is one grapheme cluster; cutting it apart would show other people."""
    family = "👨‍👩‍👧"
    assert text.excerpt(family * 200) == family * text.EXCERPT_GRAPHEMES + "…"


def test_an_english_excerpt_ends_at_a_word() -> None:
    cut = text.excerpt("cooperation " * 50)
    assert cut.endswith("cooperation…")
    assert len(cut) <= text.EXCERPT_GRAPHEMES + 1


def test_a_chinese_excerpt_ends_with_a_sentence_where_one_ends_in_time() -> None:
    sentence = "双方就共建实训室、互派教师和学生交流达成初步合作意向，并约定明年春季举行第二次会谈。”"
    assert text.excerpt(sentence * 5) == sentence * 3


def test_a_chinese_excerpt_ends_with_no_comma_before_the_ellipsis() -> None:
    assert text.excerpt("双方座谈。" + "交流经验，" * 60) == "双方座谈。" + "交流经验，" * 30 + "交流经验…"


def test_an_excerpt_breaks_no_latin_word_in_chinese() -> None:
    assert text.excerpt("双" * 155 + "International") == "双" * 155 + "…"
    assert text.excerpt("双" * 160 + "International") == "双" * 160 + "…"


def test_a_word_that_ends_where_the_excerpt_does_is_kept() -> None:
    assert text.excerpt("word " * 31 + "words and more") == "word " * 31 + "words…"


def test_one_endless_word_is_cut_all_the_same() -> None:
    assert text.excerpt("a" * 500) == "a" * text.EXCERPT_GRAPHEMES + "…"


@given(st.text(alphabet="双。，a1 “”e\u0301👨‍👩‍👧!-", min_size=100, max_size=400))
def test_an_excerpt_is_the_beginning_in_whole_graphemes(raw: str) -> None:
    first = " ".join(raw.split())
    cut = text.excerpt(raw)
    clusters = regex.findall(r"\X", first)
    starts = {"".join(clusters[:count]) for count in range(len(clusters) + 1)}
    assert cut in starts or cut.removesuffix("…") in starts
    assert len(regex.findall(r"\X", cut)) <= text.EXCERPT_GRAPHEMES + 1
    assert cut or not first


def test_a_short_first_paragraph_is_the_excerpt() -> None:
    assert text.excerpt("第一段。\n\n第二段。") == "第一段。"


@pytest.mark.parametrize(("sample", "words"), [
    ("one two", 2), ("one – two", 2), ("(it's) 3.5 % …", 2), ("", 0), ("—", 0), ("a\nb\u3000c", 3),
])
def test_a_word_has_a_letter_or_a_digit(sample: str, words: int) -> None:
    assert text.count_words(sample, "Latn") == words
    assert text.count_words(sample, "Hans") is None


@given(st.text(alphabet="aé文1٣½ \n\u3000-–'(。"))
def test_words_are_parted_by_space_alone(sample: str) -> None:
    assert text.count_words(sample, "Latn") == sum(any(c.isalnum() for c in word) for word in sample.split())


@pytest.mark.parametrize(("sample", "script", "least", "most"), [
    ("职业教育合作", "Hans", 1.0, 1.0),
    ("NVIDIA发布GeForce RTX 5090", "Hans", 0.2, 0.5),
    ("The centre (中心) opened", "Latn", 0.7, 0.9),
    ("职业教育合作", "Latn", 0.0, 0.0),
])
def test_the_share_of_a_script(sample: str, script: str, least: float, most: float) -> None:
    wanted, letters = text.weigh_script(sample, script)
    assert least <= wanted / letters <= most


def test_no_letters_have_no_script() -> None:
    assert text.weigh_script("2026-11-24 …", "Latn") == (0, 0)
