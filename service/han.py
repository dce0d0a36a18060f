"""Chinese as it is printed: full-width marks, one form of characters, and how they are read aloud."""

from __future__ import annotations

import functools
import json
from typing import Literal

import autocorrect_py
import opencc
import regex
from zhon import cedict

from service.blocks import INLINE
from service.punctuation import widen_marks

Markup = Literal["text", "markdown", "html"]

# Of all that the library would tidy (spaces between scripts, spelling, …) only punctuation is asked for.
_RULES = (
    "space-word", "space-punctuation", "space-bracket", "space-backticks", "space-dash", "space-dollar",
    "no-space-fullwidth", "no-space-fullwidth-quote", "halfwidth-word", "halfwidth-punctuation", "spellcheck",
)
# The types that come with it leave this out.
autocorrect_py.load_config(  # type: ignore[attr-defined]
    json.dumps({"rules": dict.fromkeys(_RULES, 0) | {"fullwidth": 1}})
)

# What is no prose, in each kind of body. The library's own readers of markup are not asked: deeply nested
# HTML overflows the stack of its parser, which ends the process.
_ADDRESS = r"(?:https?://|www\.)[^\s<>，。；：！？、）”]+"
_NO_PROSE = {
    "text": _ADDRESS,
    "html": rf"<[^<>]*>|{_ADDRESS}",
    "markdown": rf"(?s:```.*?```|~~~.*?~~~)|`[^`\n]*`|\]\([^()\n]*\)|<[^<>\n]*>|{_ADDRESS}",
}
# Markup that may stand between a mark and what it touches.
_INLINE = rf"</?(?:{'|'.join(sorted(INLINE))})\b[^<>]*>"
_THROUGH = {"text": r"[*_\[\]]+", "html": _INLINE, "markdown": rf"[*_\[]+|\](?:\([^()\n]*\))?|{_INLINE}"}

_TRADITIONAL = frozenset(cedict.traditional) - frozenset(cedict.simplified)
_SIMPLIFIED = frozenset(cedict.simplified) - frozenset(cedict.traditional)
# A character is foreign only where every standard of the script writes another: Hong Kong keeps 户 and 温.
_STANDARDS = {"Hans": (_TRADITIONAL, ("t2s",)), "Hant": (_SIMPLIFIED, ("s2t", "s2tw", "s2hk"))}


def is_chinese(script: str) -> bool:
    """Whether text in this script (ISO 15924 code) is Chinese, so that the rules here hold for it."""
    return script in _STANDARDS


def mend_punctuation(text: str, markup: Markup = "text", script: str = "Hans") -> str:
    """The text with full-width marks where half-width ones touch Chinese; in markup only its prose.

    To mend it again changes nothing more.
    """
    mended = _mend_once(text, markup, script)
    # What one of the two mends may be what the other goes by. Each time fewer half-width marks are left.
    while mended != text:
        text, mended = mended, _mend_once(mended, markup, script)
    return text


def _mend_once(text: str, markup: Markup, script: str) -> str:
    pieces = regex.split(f"({_NO_PROSE[markup]})", text)
    tidy = "".join(autocorrect_py.format(piece) if number % 2 == 0 else piece for number, piece in enumerate(pieces))
    return widen_marks(tidy, _NO_PROSE[markup], _THROUGH[markup], script)


def foreign_characters(text: str, script: str) -> list[str]:
    """Traditional characters in a simplified text, or the other way round, in order; those of both are none."""
    foreign, standards = _STANDARDS[script]
    suspects = (character for character in dict.fromkeys(text) if character in foreign)
    return [
        character for character in suspects
        if all(_converter(standard).convert(character) != character for standard in standards)
    ]


def to_pinyin(text: str) -> list[str]:
    """Syllables without tones, as the words around them are read (重庆 is chong qing); other text as it is."""
    # Only a newsroom without Latin headlines needs its dictionaries, which take 0.4 s to load.
    from pypinyin import lazy_pinyin

    # Its phrases are written in simplified characters.
    return lazy_pinyin(_converter("t2s").convert(text))


@functools.cache
def _converter(standard: str) -> opencc.OpenCC:
    return opencc.OpenCC(standard)
