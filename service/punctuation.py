"""Half-width marks that touch Chinese, each judged by what stands on either side of it. Pure."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import regex

_WIDE = {",": "，", ".": "。", ";": "；", ":": "：", "!": "！", "?": "？", "(": "（", ")": "）"}
_ELLIPSIS = "……"
# Opening and closing, of the first and of the second degree (GB/T 15834-2011, 4.8; 重訂標點符號手冊).
_QUOTES = {"Hans": {'"': "“”", "'": "‘’"}, "Hant": {'"': "「」", "'": "『』"}}

_LETTER = r"[[\p{L}\p{N}\p{M}]--[\p{Han}\p{Hiragana}\p{Katakana}]]"
# In this order: what no mark is looked for in, then words with the marks inside them (1,000.5, 10:30, v1.2.3,
# a@b.example, don't), then what marks are judged by.
_KINDS = {
    "quote": r"[\"']|&quot;|&\#(?:34|39|[xX]2[27]);",
    "opaque": r"&(?:\#?\w+);",
    "word": rf"{_LETTER}(?:{_LETTER}|['’.,:&@/_+\#-](?={_LETTER}))*+",
    "han": r"[\p{Han}\p{Hiragana}\p{Katakana}]+",
    "space": r"[ \t\u00a0]+",
    "wide": r"[、。，；：？！…—《》〈〉「」『』【】〔〕]+",
    "curly": r"[“”‘’]",
    "open": r"[(（]",
    "close": r"[)）]",
    "ellipsis": r"\.{3,}",
    "mark": r"[,;:!?]|(?<!\.)\.(?!\.)",
    "through": r"[*_\[\]]+",
    "break": r"\n",
    "other": r"(?s:.)",
}
_CHINESE = ("han", "wide")


@dataclass(slots=True)
class _Token:
    kind: str
    text: str
    before: str = ""

    @property
    def parts_lines(self) -> bool:
        """A tag that is let through is none of these."""
        return self.kind == "break" or (self.kind == "opaque" and self.text.startswith("<"))

    def mend(self, text: str) -> None:
        """``before`` tells what it was."""
        if self.text != text:
            self.before, self.text = self.text, text


def widen_marks(text: str, opaque: str, through: str, script: str) -> str:
    """The text with full-width marks where half-width ones touch Chinese, and no space beside a mark that was mended.

    ``opaque`` matches what is no prose, ``through`` markup that stands between a mark and what it touches.
    ``script`` (ISO 15924) decides which quotation marks are meant.
    """
    pattern = _pattern(opaque, through)
    tokens = [_Token(str(match.lastgroup), match[0]) for match in pattern.finditer(text)]
    chinese = list(itertools.accumulate(token.kind == "han" for token in tokens))
    for opening, closing in [*_brackets(tokens), *_quotations(tokens)]:
        _mend_pair(tokens, opening, closing, script, holds=chinese[closing] > chinese[opening])
    for number, token in enumerate(tokens):
        if token.kind in ("mark", "ellipsis") and _touches(tokens, number):
            token.mend(_ELLIPSIS if token.kind == "ellipsis" else _WIDE[token.text])
    return "".join(token.text for number, token in enumerate(tokens) if not _is_idle(tokens, number))


@functools.cache
def _pattern(opaque: str, through: str) -> regex.Pattern[str]:
    kinds = "|".join(f"(?P<{name}>{pattern})" for name, pattern in _KINDS.items())
    return regex.compile(rf"(?V1)(?P<through>{through})|(?P<opaque>{opaque})|{kinds}")


def _beside(tokens: Sequence[_Token], number: int, step: int) -> tuple[_Token, bool]:
    """The next token that is neither markup nor space, and whether there is space before it."""
    is_apart = False
    number += step
    while 0 <= number < len(tokens) and tokens[number].kind in ("through", "space"):
        is_apart = is_apart or tokens[number].kind == "space"
        number += step
    return (tokens[number] if 0 <= number < len(tokens) else _Token("break", "")), is_apart


def _brackets(tokens: Sequence[_Token]) -> Iterator[tuple[int, int]]:
    opened: list[int] = []
    for number, token in enumerate(tokens):
        if token.parts_lines:
            opened.clear()
        elif token.kind == "open":
            opened.append(number)
        elif token.kind == "close" and opened:
            yield opened.pop(), number


def _quotations(tokens: Sequence[_Token]) -> Iterator[tuple[int, int]]:
    """Straight quotation marks, where those of one kind and line come in pairs."""
    found: dict[str, list[int]] = {}
    for number, token in enumerate([*tokens, _Token("break", "")]):
        if token.kind == "quote":
            found.setdefault(_straight(token), []).append(number)
        elif token.parts_lines:
            for numbers in found.values():
                if len(numbers) % 2 == 0:
                    yield from zip(numbers[::2], numbers[1::2], strict=True)
            found.clear()


def _straight(token: _Token) -> str:
    return '"' if token.text in ('"', "&quot;") or "34" in token.text or token.text.endswith("22;") else "'"


def _mend_pair(tokens: Sequence[_Token], opening: int, closing: int, script: str, *, holds: bool) -> None:
    """``holds`` tells whether there is Chinese between the two."""
    (left, is_left_apart), (right, is_right_apart) = _beside(tokens, opening, -1), _beside(tokens, closing, 1)
    first, last = tokens[opening], tokens[closing]
    follows, leads = left.kind == "han" and not is_left_apart, right.kind == "han" and not is_right_apart
    adjoins = left.kind == "word" and not is_left_apart
    if first.kind == "open":
        # `f(x)的` is a name of its own.
        is_wide = holds or follows or (leads and not adjoins) or "（" in first.text or "）" in last.text
        marks = "（）"
    else:
        # A straight mark behind a number tells inches or minutes, one behind a letter leaves something out.
        is_wide = (holds or follows or leads) and not adjoins
        marks = _QUOTES[script][_straight(first)]
    if is_wide:
        first.mend(marks[0])
        last.mend(marks[1])


def _touches(tokens: Sequence[_Token], number: int) -> bool:
    """Whether the mark is one of the Chinese text rather than of a number, an address or an English run."""
    mark = tokens[number].text
    (left, is_left_apart), (right, is_right_apart) = _beside(tokens, number, -1), _beside(tokens, number, 1)
    before_word = right.kind == "word" and not is_right_apart
    if (mark in ":;" and right.text in ("(", ")")) or right.text.startswith("/"):
        # `:)` is a face, and `://` an address.
        return False
    if left.kind in _CHINESE or left.before or (left.kind in ("open", "close") and left.text in "（）"):
        return not (before_word and (is_left_apart or mark == "." or left.kind == "quote"))
    if left.kind == "curly":
        return right.kind != "word"
    if left.kind in ("word", "opaque") and right.kind == "han":
        return mark in ",;:" or (mark in "!?" and left.text[-1].isdigit())
    return tokens[number].kind == "ellipsis" and left.kind != "word" and right.kind == "han"


def _is_idle(tokens: Sequence[_Token], number: int) -> bool:
    """Whether it is space between words and a mark that was mended: a full-width one brings its own."""
    if tokens[number].kind != "space":
        return False
    left, right = _beside(tokens, number, -1)[0], _beside(tokens, number, 1)[0]
    text = ("word", "opaque", "curly", *_CHINESE)
    return bool((left.before and (right.before or right.kind in text)) or (right.before and left.kind in text))
