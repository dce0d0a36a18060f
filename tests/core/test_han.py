"""Chinese typography: what is mended, what is left alone, and how characters sound."""

from __future__ import annotations

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from service.han import Markup, foreign_characters, mend_punctuation, to_pinyin

_NARROW = str.maketrans("，。；：！？（）“”‘’", ",.;:!?()\"\"''")
MARKED = st.text(alphabet="甲乙，,.:;!?“”《》 a1\n()<>*`[]\"'…（）", max_size=40)


@pytest.mark.parametrize(("text", "mended"), [
    ("近日,江会长一行到访,双方座谈。", "近日，江会长一行到访，双方座谈。"),
    ("你好!可以吗?", "你好！可以吗？"),
    ("一、开会;二、参观", "一、开会；二、参观"),
    ("他说:“好”,随后离开", "他说：“好”，随后离开"),
    ("《章程》,全文", "《章程》，全文"),
    ("中文,English,中文", "中文，English，中文"),
    ("2026年9月18日,开幕", "2026年9月18日，开幕"),
    ("会议召开.双方表示", "会议召开。双方表示"),
    ('他说"好"(真的).', "他说“好”（真的）。"),
    ('他说"好"(真的).然后...走了; 对吗?', "他说“好”（真的）。然后……走了；对吗？"),
    ("他说(好)了", "他说（好）了"),
    ('他说"好"了', "他说“好”了"),
    ("它叫'好'的", "它叫‘好’的"),
    ("你好; 世界", "你好；世界"),
    ("今天(11月24日),签约", "今天（11月24日），签约"),
    ('他说:"好"', "他说：“好”"),
    ("签约仪式 , 举行", "签约仪式，举行"),
    ("说:Hello, world.", "说：Hello, world."),
    ("时间:10:30,共1,000.5元;", "时间：10:30，共1,000.5元；"),
    ("版本v1.2.3,已发布", "版本v1.2.3，已发布"),
    ("邮箱 a@b.example,请写", "邮箱 a@b.example，请写"),
    ("见 https://a.example/x,y ,谢谢", "见 https://a.example/x,y，谢谢"),
    ("AI (人工智能)与联合国(UN), 云计算", "AI（人工智能）与联合国（UN），云计算"),
    ("（好),走", "（好），走"),
    ('他说"OK"了', "他说“OK”了"),
    ("结果......如下", "结果……如下"),
])
def test_half_width_marks_in_chinese_are_mended(text: str, mended: str) -> None:
    assert mend_punctuation(text) == mended


@pytest.mark.parametrize("text", [
    "共1,234人", "12:30开会", "比分3:2", "第3.5节", "见 https://a.example/x,y?z=1,2 页", "见www.a.example/路径?x=甲",
    "https://例子.example/路径,甲", "Hello, world. Bye!", "A, B 两项", "Apple Inc.公司", "U.S.政府",
    "报告.pdf", "他（张三）说，“好”。", "v1.2.3版", "f(x,y)的值", "好:)", "ＡＢＣ　全角",
    '他说 "Hello, world." 然后', '他说 (see below, please) 然后', "10:30开始", "1. 总则", "1) 总则", "5\"和6\"屏",
    '他说"好', "写信给 zhang.san@mail.example 即可", "don't走", "使用 .gitignore 文件", "Yahoo! 公司",
])
def test_what_is_no_chinese_punctuation_is_left_alone(text: str) -> None:
    assert mend_punctuation(text) == text


@pytest.mark.parametrize(("source", "mended"), [
    ("近日,**甲**,[乙,丙](https://a.example/x,乙)", "近日，**甲**，[乙，丙](https://a.example/x,乙)"),
    ("甲,乙和`甲,乙`\n\n```\n甲,乙\n```", "甲，乙和`甲,乙`\n\n```\n甲,乙\n```"),
    ("- (一)总则; **甲** (乙)", "- （一）总则；**甲**（乙）"),
    ("甲&amp;乙 &lt;甲(乙)", "甲&amp;乙 &lt;甲（乙）"),
])
def test_code_and_addresses_in_markdown_are_left_alone(source: str, mended: str) -> None:
    assert mend_punctuation(source, "markdown") == mended


def test_attributes_in_html_are_left_alone() -> None:
    source = '<p>近日,<b>甲</b>,乙<a href="/甲,乙" title="甲,乙">甲,乙</a></p>'
    assert mend_punctuation(source, "html") == '<p>近日，<b>甲</b>，乙<a href="/甲,乙" title="甲,乙">甲，乙</a></p>'


def test_quotation_marks_that_html_writes_as_references_are_mended() -> None:
    source = "<p>他说&quot;好&quot;,<b>甲</b> (乙)&amp;丙</p>"
    assert mend_punctuation(source, "html") == "<p>他说“好”，<b>甲</b>（乙）&amp;丙</p>"


@pytest.mark.parametrize("markup", ["text", "markdown", "html"])
def test_deeply_nested_markup_does_no_harm(markup: str) -> None:
    """The library's reader of HTML ends the process on this."""
    assert mend_punctuation("甲<b>" * 100_000, markup) == "甲<b>" * 100_000  # type: ignore[arg-type]


def test_quotation_marks_are_those_of_the_script() -> None:
    assert mend_punctuation('他說"好","行"', script="Hant") == "他說「好」，「行」"


@given(st.text() | MARKED, st.sampled_from(["text", "markdown", "html"]))
def test_mending_what_was_mended_changes_nothing(text: str, markup: Markup) -> None:
    mended = mend_punctuation(text, markup)
    assert mend_punctuation(mended, markup) == mended


@given(st.text() | MARKED)
def test_mending_touches_nothing_but_marks_and_the_space_beside_them(text: str) -> None:
    def bare(value: str) -> str:
        return regex.sub(r"[.…]+", ".", "".join(value.translate(_NARROW).split()))

    assert bare(mend_punctuation(text)) == bare(text)


@given(st.text(alphabet="甲乙，,.:;!?“”《》 a1\n", max_size=40))
def test_text_without_half_width_marks_is_never_touched(text: str) -> None:
    full = text.translate({ord(mark): None for mark in ",.:;!?"})
    assert mend_punctuation(full) == full


def test_characters_of_the_other_script_are_named_in_order() -> None:
    assert foreign_characters("國际會议以後举行", "Hans") == ["國", "會", "後"]
    assert foreign_characters("國际會议以后舉行", "Hant") == ["际", "议"]


@pytest.mark.parametrize(("text", "script"), [
    ("乾隆、哪吒、宫商角徵羽、著名、瞭望、於先生、毕昇、甯静、琅琊、皇后、公里、台州、干部、余先生", "Hans"),
    ("皇后、公里、台灣、干涉、余先生、范先生、一齣戲、裡面、裏面、户口、温度、税務、着重、面子、松樹", "Hant"),
])
def test_characters_of_both_scripts_and_of_names_do_not_count(text: str, script: str) -> None:
    assert foreign_characters(text, script) == []


@pytest.mark.parametrize(("text", "syllables"), [
    ("重庆", "chong qing"), ("重慶", "chong qing"), ("银行行长", "yin hang hang zhang"),
    ("长春、长江", "chang chun 、 chang jiang"), ("AI助手", "AI zhu shou"),
])
def test_characters_sound_as_the_words_around_them_make_them(text: str, syllables: str) -> None:
    assert " ".join(to_pinyin(text)) == syllables
