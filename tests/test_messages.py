"""The message catalogue says the same in both languages."""

from __future__ import annotations

import re
from pathlib import Path
from string import Formatter

import pytest

import service
from service.messages import LANGUAGES, has_message, load_catalogue, say, ui_language

CHINESE, ENGLISH = load_catalogue("zh"), load_catalogue("en")


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


def test_both_languages_have_the_same_keys_in_the_same_order() -> None:
    assert list(CHINESE) == list(ENGLISH)


@pytest.mark.parametrize("key", ENGLISH)
def test_each_sentence_is_there_with_the_same_placeholders_and_in_its_own_script(key: str) -> None:
    chinese, english = CHINESE[key], ENGLISH[key]
    assert chinese.strip() and english.strip()
    assert placeholders(chinese) == placeholders(english)
    assert not re.search(r"[\u3400-\u9fff，。：；（）]", english)
    # No half-width mark may end a Chinese sentence.
    assert not re.search(r"[\u3400-\u9fff][,.;:!?]", chinese)


def test_each_problem_has_its_title_its_detail_and_its_page() -> None:
    parts: dict[str, set[str]] = {}
    for key in ENGLISH:
        if key.startswith("problem."):
            _, code, part = key.split(".")
            parts.setdefault(code, set()).add(part)
    assert parts and all(found == {"title", "detail", "about"} for found in parts.values())


def test_titles_and_pages_of_problems_need_no_parameters() -> None:
    for key, text in ENGLISH.items():
        assert not key.endswith((".title", ".about")) or not placeholders(text)


def test_each_code_of_a_fault_or_warning_in_the_source_has_a_sentence() -> None:
    source = "\n".join(path.read_text("utf-8") for path in Path(service.__file__).parent.rglob("*.py"))
    faults = set(re.findall(r'Fault\([^()]*(?:\([^()]*\)[^()]*)*code="([a-z_]+)"', source))
    warnings = set(re.findall(r'Warning\([^()]*(?:\([^()]*\)[^()]*)*code="([a-z_]+)"', source))
    assert "missing" in faults and "markup_removed" in warnings
    assert {f"fault.{code}" for code in faults} <= set(ENGLISH)
    assert {f"warning.{code}" for code in warnings} <= set(ENGLISH)


def test_a_list_is_joined_as_the_language_joins_lists() -> None:
    known = ["zh-Hans", "en"]
    assert "zh-Hans、en" in say("zh", "fault.unknown_language", known=known)
    assert "zh-Hans, en" in say("en", "fault.unknown_language", known=known)


def test_an_empty_list_reads_as_none() -> None:
    assert say("zh", "fault.unknown_field", name="x", known=[]).endswith("无。")
    assert say("en", "fault.unknown_field", name="x", known=[]).endswith("none.")


def test_words_of_the_program_become_words_of_the_language() -> None:
    assert "没有编号为 7 的发布稿" in say("zh", "problem.not_found.detail", kind="release", id="7")
    assert "应为引号中的文本" in say("zh", "fault.wrong_type", expected=["string"])
    assert "缺少逗号" in say("zh", "problem.malformed_json.detail", line=1, column=2, reason="comma_missing")


def test_what_comes_from_outside_is_no_template() -> None:
    assert "{limit}" in say("en", "fault.missing", name="{limit}")


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_unknown_key_is_refused(language: str) -> None:
    assert not has_message("fault.nonsense")
    with pytest.raises(KeyError):
        say(language, "fault.nonsense")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("tag", "expected"),
    [("zh-Hans", "zh"), ("zh-TW", "zh"), ("ZH", "zh"), ("en", "en"), ("zha", "en"), ("fr", "en"), ("cmn", "zh"),
     ("yue-Hant-HK", "zh"), ("wuu", "zh"), ("", "en"), ("*", "en"), ("x;;", "en")],
)
def test_any_chinese_reads_chinese_and_all_others_english(tag: str, expected: str) -> None:
    assert ui_language(tag) == expected


def test_a_parameter_may_bear_any_name() -> None:
    assert "English" in say("zh", "fault.missing_edition", language="English")
    assert say("en", "fault.missing", name="key", key="unused").startswith("“key” is missing")


def test_each_error_that_the_api_can_answer_has_its_sentences() -> None:
    source = "\n".join(path.read_text("utf-8") for path in Path(service.__file__).parent.rglob("*.py"))
    codes = set(re.findall(r'^    code = "([a-z_]+)"', source, re.MULTILINE))
    assert "not_found" in codes
    # These two never reach a caller: they stop the start, or set a release aside.
    assert {f"problem.{code}.detail" for code in codes - {"configuration", "unrenderable"}} <= set(ENGLISH)
