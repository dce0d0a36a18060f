"""What changed between two revisions, as a person reads it: by characters in Chinese, by words in English."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import regex
from diff_match_patch import diff_match_patch

from service.model import Edition, Release
from service.text import is_dense

FIELDS = ("headline", "summary", "dateline", "body_text")
# What all editions have together.
MEMBERS = ("authoritative_language", "categories", "contacts", "media")
# After this long a rougher difference is good enough; the texts may be a megabyte.
PATIENCE_SECONDS = 1.0

_GRAPHEMES = regex.compile(r"\X")
_WORDS = regex.compile(r"[\p{L}\p{M}\p{N}]+(?:['’-][\p{L}\p{M}\p{N}]+)*|\s+|\X")
# Tokens are numbered with code points, from past the controls and round the surrogates, which are no text.
_FIRST, _SURROGATES, _SURROGATE_COUNT = 0x100, 0xD800, 0x800


class Op(StrEnum):
    DELETE = "delete"
    EQUAL = "equal"
    INSERT = "insert"


class Step(NamedTuple):
    """A stretch of text that both have, or that only the older (``delete``) or the newer (``insert``) has."""

    op: Op
    text: str


@dataclass(frozen=True, slots=True)
class EditionDiff:
    """``change`` is ``added``, ``removed``, ``changed`` or ``same``; ``fields`` holds those that differ."""

    language: str
    change: str
    fields: dict[str, list[Step]]


def diff_releases(before: Release, after: Release) -> list[EditionDiff]:
    """One for each language that either has, in the order of the newer."""
    languages = dict.fromkeys((*after.languages, *before.languages))
    return [_diff_editions(language, before.edition(language), after.edition(language)) for language in languages]


def changed_members(before: Release, after: Release) -> list[str]:
    """Those of MEMBERS in which the two differ."""
    return [name for name in MEMBERS if getattr(before, name) != getattr(after, name)]


def diff_texts(before: str, after: str, language: str) -> list[Step]:
    """The steps from one text to the other, put together so that a person can read them."""
    tokens = _GRAPHEMES if is_dense(language) else _WORDS
    table = _Table()
    engine = diff_match_patch()
    engine.Diff_Timeout = PATIENCE_SECONDS
    steps = engine.diff_main(table.encode(tokens.findall(before)), table.encode(tokens.findall(after)), False)
    engine.diff_cleanupSemantic(steps)
    ops = {-1: Op.DELETE, 0: Op.EQUAL, 1: Op.INSERT}
    return [Step(ops[number], table.decode(coded)) for number, coded in steps]


def _diff_editions(language: str, before: Edition | None, after: Edition | None) -> EditionDiff:
    fields = dict(_diff_fields(language, before, after))
    if before is None or after is None:
        return EditionDiff(language, "removed" if after is None else "added", fields)
    return EditionDiff(language, "changed" if fields else "same", fields)


def _diff_fields(
    language: str, before: Edition | None, after: Edition | None
) -> Iterator[tuple[str, list[Step]]]:
    for name in FIELDS:
        old, new = ((getattr(edition, name) if edition else None) or "" for edition in (before, after))
        if old != new:
            yield name, diff_texts(old, new, language)
    # The same words may lead elsewhere, or stand beside another picture.
    if before and after and before.body_text == after.body_text and before.body_html != after.body_html:
        yield "body_html", diff_texts(before.body_html or "", after.body_html or "", language)


class _Table:
    """Each token as one character, which is what the engine compares."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._tokens: list[str] = []

    def encode(self, tokens: Sequence[str]) -> str:
        return "".join(chr(self._code_point(token)) for token in tokens)

    def decode(self, coded: str) -> str:
        return "".join(self._tokens[self._number(ord(character))] for character in coded)

    def _code_point(self, token: str) -> int:
        if token not in self._numbers:
            self._numbers[token] = len(self._tokens)
            self._tokens.append(token)
        point = self._numbers[token] + _FIRST
        return point if point < _SURROGATES else point + _SURROGATE_COUNT

    @staticmethod
    def _number(point: int) -> int:
        return (point if point < _SURROGATES else point - _SURROGATE_COUNT) - _FIRST
