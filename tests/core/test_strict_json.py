"""JSON from outside is read whole, or refused in words of ours whatever Python's parser calls the fault."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.messages import load_catalogue
from service.strict_json import MOST_DEPTH, MOST_DIGITS, MalformedJson, RepeatedName, TooDeep, parse_json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20,
)


@given(VALUES)
def test_every_json_value_is_read_as_it_is(value: Any) -> None:
    assert parse_json(json.dumps(value)) == value


@pytest.mark.parametrize(("text", "line", "column", "reason"), [
    ("", 1, 1, "value_missing"),
    ('{"a":\n}', 2, 1, "value_missing"),
    ("{1}", 1, 2, "name_missing"),
    ('{"a" 1}', 1, 6, "colon_missing"),
    ('{"a": 1 "b": 2}', 1, 9, "comma_missing"),
    ('"abc', 1, 1, "text_unended"),
    ("{“a”: 1}", 1, 2, "lookalike"),
    ('{"a"：1}', 1, 5, "lookalike"),
    ('{"a": “b”}', 1, 7, "lookalike"),
    ('{"a": 1， "b": 2}', 1, 8, "lookalike"),
    ('{"a": 1｝', 1, 8, "lookalike"),
    ('"a\nb"', 1, 3, "control_character"),
    (r'"a\qb"', 1, 3, "bad_escape"),
    (r'"\u12"', 1, 3, "bad_escape"),
    ("{} {}", 1, 4, "more_after_end"),
    ('{"NaN": "NaN",\n "b": NaN}', 2, 7, "no_number"),
    ('["\\" Infinity", -Infinity]', 1, 17, "no_number"),
    ("[1,\n" + "9" * (MOST_DIGITS + 1) + "]", 2, 1, "number_too_long"),
    ("9" * 5000, 1, 1, "number_too_long"),
])
def test_a_fault_is_told_with_its_place_and_its_reason(text: str, line: int, column: int, reason: str) -> None:
    with pytest.raises(MalformedJson) as caught:
        parse_json(text)
    assert caught.value.params == {"line": line, "column": column, "reason": reason}
    assert f"term.reason.{reason}" in load_catalogue("zh")


def test_a_comma_too_many_is_told_in_the_words_of_either_python() -> None:
    with pytest.raises(MalformedJson) as caught:
        parse_json('{"a": 1,}')
    assert caught.value.params["reason"] in {"name_missing", "comma_too_many"}


def test_a_name_that_stands_twice_is_named() -> None:
    with pytest.raises(RepeatedName) as caught:
        parse_json('{"x": [{"slug": 1, "a": 2, "slug": 1}]}')
    assert caught.value.params == {"name": "slug"}


@pytest.mark.parametrize("depth", [MOST_DEPTH + 1, 300, 900, 3000, 200_000])
@pytest.mark.parametrize("pair", ["[]", "{}"])
def test_what_is_too_deep_is_refused(depth: int, pair: str) -> None:
    opening, closing = ("[", "]") if pair == "[]" else ('{"a":', "}")
    with pytest.raises(TooDeep):
        parse_json(opening * depth + "0" + closing * depth)


def test_what_is_as_deep_as_it_may_be_is_read() -> None:
    assert parse_json("[" * MOST_DEPTH + "]" * MOST_DEPTH)
