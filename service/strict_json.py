"""JSON (RFC 8259) from outside: what can't be read is refused with its place and a reason of ours."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NoReturn

from service.errors import DiglotError

# No schema goes deeper than a third of it, and what walks a value may recurse.
MOST_DEPTH = 32
MOST_DIGITS = 100

_STRING = r'"(?:[^"\\]|\\.)*"'
# What the parser calls a fault, and what we do: its words differ from one Python to another.
_REASONS = {
    "Expecting value": "value_missing",
    "Expecting property name": "name_missing",
    "Expecting ':'": "colon_missing",
    "Expecting ','": "comma_missing",
    "Illegal trailing comma": "comma_too_many",
    "Unterminated string": "text_unended",
    "Invalid control character": "control_character",
    "Invalid \\": "bad_escape",
    "Extra data": "more_after_end",
}
# What word processors and Chinese keyboards write for " ' , : { } [ ], and what looks like them.
_LOOKALIKES = frozenset("“”„‟‘’＂＇，、：；｛｝［］【】")


class MalformedJson(DiglotError):
    """``line`` and ``column`` count from 1; ``reason`` is a code."""

    code = "malformed_json"


class RepeatedName(DiglotError):
    """RFC 8259 section 4: of a ``name`` that stands twice in an object nobody knows which value was meant."""

    code = "repeated_name"


class TooDeep(DiglotError):
    """Objects and lists stand inside each other more than ``limit`` levels deep."""

    code = "too_deep"


def parse_json(text: str) -> Any:
    """Raises MalformedJson, RepeatedName or TooDeep."""
    try:
        value = json.loads(text, parse_constant=_refuse, parse_int=_read_int, object_pairs_hook=_read_object)
    except json.JSONDecodeError as error:
        reason = next((ours for theirs, ours in _REASONS.items() if error.msg.startswith(theirs)), "not_json")
        reason = "lookalike" if text[error.pos:error.pos + 1] in _LOOKALIKES else reason
        raise MalformedJson(line=error.lineno, column=error.colno, reason=reason) from None
    except _BadNumber:
        raise _misplaced_number(text) from None
    except RecursionError:
        raise TooDeep(limit=MOST_DEPTH) from None
    _check_depth(value)
    return value


class _BadNumber(ValueError):
    """The parser doesn't tell us where it is."""


def _refuse(_name: str) -> NoReturn:
    raise _BadNumber


def _read_int(digits: str) -> int:
    if len(digits) > MOST_DIGITS:
        raise _BadNumber
    return int(digits)


def _read_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        names = [name for name, _ in pairs]
        raise RepeatedName(name=next(name for name in names if names.count(name) > 1))
    return members


def _misplaced_number(text: str) -> MalformedJson:
    pattern = rf"{_STRING}|(?P<name>NaN|-?Infinity)|(?P<digits>-?\d{{{MOST_DIGITS},}})"
    found = next(match for match in re.finditer(pattern, text, re.DOTALL) if match.lastgroup)
    before = text[:found.start()]
    line, column = before.count("\n") + 1, found.start() - before.rfind("\n")
    return MalformedJson(line=line, column=column, reason="no_number" if found["name"] else "number_too_long")


def _check_depth(value: Any) -> None:
    level, depth = [value], 0
    while level := [inner for outer in level for inner in _inside(outer)]:
        depth += 1
        if depth > MOST_DEPTH:
            raise TooDeep(limit=MOST_DEPTH)


def _inside(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list):
        yield from value
