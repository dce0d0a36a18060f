"""Markdown means in Chinese what its author saw in an editor."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.markdown import find_left_markers, markdown_to_raw_html


@pytest.mark.parametrize(("source", "expected"), [
    ("这是**“重要”**的", "这是<strong>“重要”</strong>的"),
    ("**注意：**正文", "<strong>注意：</strong>正文"),
    ("推出**（试行）**办法", "推出<strong>（试行）</strong>办法"),
    ("**《章程》**和**《细则》**", "<strong>《章程》</strong>和<strong>《细则》</strong>"),
    ("增长**46%**以上", "增长<strong>46%</strong>以上"),
    ("这是*“重要”*的", "这是<em>“重要”</em>的"),
    ("**bold** and *soft*", "<strong>bold</strong> and <em>soft</em>"),
])
def test_emphasis_works_beside_chinese_marks(source: str, expected: str) -> None:
    """CommonMark's own rule leaves the first six as they are, asterisks and all."""
    assert markdown_to_raw_html(source) == f"<p>{expected}</p>\n"
    assert find_left_markers(source) == ([], [])


@pytest.mark.parametrize(("source", "expected"), [
    ("第一行\n第二行", "第一行第二行"),
    ("他说：\n“好。”\n众人赞同", "他说：“好。”众人赞同"),
    ("**甲**\n[乙](https://a.example)", '<strong>甲</strong><a href="https://a.example">乙</a>'),
    ("中文\nEnglish", "中文\nEnglish"),
    ("one\ntwo", "one\ntwo"),
    ("“one”\n“two”", "“one”\n“two”"),
])
def test_a_line_end_between_chinese_characters_is_no_space(source: str, expected: str) -> None:
    assert markdown_to_raw_html(source) == f"<p>{expected}</p>\n"


def test_lines_of_code_stay_lines() -> None:
    assert "甲\n乙" in markdown_to_raw_html("```\n甲\n乙\n```")


def test_html_is_shown_as_text() -> None:
    assert "<script>" not in markdown_to_raw_html("<script>steal()</script>\n\n好 <b>x</b>")
    assert "&lt;b&gt;x&lt;/b&gt;" in markdown_to_raw_html("好 <b>x</b>")


def test_a_range_written_with_tildes_is_not_struck_out() -> None:
    assert markdown_to_raw_html("10~20人，30~40人") == "<p>10~20人，30~40人</p>\n"


def test_an_escaped_star_is_a_plain_star() -> None:
    assert markdown_to_raw_html(r"写\*星\*号") == "<p>写*星*号</p>\n"


def test_a_table_is_a_table() -> None:
    assert "<td>甲班</td>" in markdown_to_raw_html("| 班次 |\n|---|\n| 甲班 |")


@pytest.mark.parametrize(("source", "place"), [
    ("他说**“重要”**AI是", "他说**“重要”**AI"),
    ("这是**重要 **的", "这是**重要 **的"),
    ("这是** 重要**的", "这是** 重要**的"),
    ("设__甲__班", "设__甲__班"),
    ("**（一）****（二）**", "（一）****（二）"),
    ("the **word", "the **word"),
])
def test_doubled_markers_that_readers_would_see_are_found(source: str, place: str) -> None:
    assert find_left_markers(source)[0] == [place]


@pytest.mark.parametrize("source", [
    r"写作\*\*甲\*\*即可", "写作`**甲 **`即可", "```\n**甲 **\n```",
    "电话138****5678", "a__b与c", "签名：________", "2**3",
])
def test_marks_that_are_meant_are_no_markers(source: str) -> None:
    assert find_left_markers(source) == ([], [])


def test_a_single_pair_round_chinese_is_only_suspect() -> None:
    """One alone opens a note, or belongs to a name."""
    assert find_left_markers("这是_重要_的") == ([], ["这是_重要_的"])
    assert find_left_markers("*注：用A*算法计算") == ([], [])
    assert find_left_markers("snake_case_name与x") == ([], [])


@given(st.text(alphabet="*_ 甲“”，a1\n\\`~[]()<>|-#", max_size=60))
def test_what_passes_shows_no_doubled_asterisk(source: str) -> None:
    """Emphasis is rendered or reported: `**` beside Chinese never slips through in between."""
    if find_left_markers(source)[0] or "`" in source or "\\" in source or "    " in source:
        return
    assert not any(mark in markdown_to_raw_html(source) for mark in ("**甲", "甲**", "**“", "”**"))


@given(st.text())
def test_any_text_is_rendered(source: str) -> None:
    markdown_to_raw_html(source)
    find_left_markers(source)
