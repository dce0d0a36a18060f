"""Markdown as a person means it: emphasis beside Chinese marks, lines that join without a space."""

from __future__ import annotations

import html
from collections.abc import Iterable

import regex
from comrak import ExtensionOptions, RenderOptions, markdown_to_html

from service.text import single_line

# Tables are what staff expect beyond CommonMark. Strikethrough is left out, since `10~20人，30~40人`
# would lose its meaning, and bare links too, since one would swallow the Chinese text behind it.
_EXTENSIONS = ExtensionOptions(cjk_friendly_emphasis=True, table=True)
# `escape` shows raw HTML as text. The spans tell a `\*` that is meant from a marker that was left over. `unsafe_`
# leaves addresses of any scheme to the cleaner, which removes and tells them: blanked ones would pass for empty.
_RENDERING = RenderOptions(escape=True, escaped_char_spans=True, unsafe_=True)
_ESCAPED = regex.compile(r"<span data-escaped-char>(.*?)</span>")

_INLINE_END, _INLINE_START = r"(?:</(?:a|em|strong)>)*+", r"(?:<(?:a|em|strong)\b[^<>]*>)*+"
_WIDE, _QUOTE = r"[\p{Han}\p{Hiragana}\p{Katakana}\u3001-\u303f\uff01-\uff5e]", r"[“”‘’—…·]"
_JOINED_LINES = regex.compile(
    rf"<pre>.*?</pre>(*SKIP)(*FAIL)"
    rf"|(?<={_WIDE})({_INLINE_END})\n({_INLINE_START})(?={_WIDE}|{_QUOTE})"
    rf"|(?<={_QUOTE})({_INLINE_END})\n({_INLINE_START})(?={_WIDE})",
    regex.DOTALL,
)

_NO_PROSE = regex.compile(r"<pre>.*?</pre>|<code>.*?</code>|<span data-escaped-char>.*?</span>", regex.DOTALL)
_TAG = regex.compile(r"<[^<>]*>")
# A doubled marker is never meant as text, but for masks such as 138****5678 and names such as a__b.
_DOUBLED = regex.compile(
    r"(?<![A-Za-z0-9*])\*{2,}|\*{2,}(?![A-Za-z0-9*])|(?<![A-Za-z0-9_])__(?!_)|(?<!_)__(?![A-Za-z0-9_])"
)
# A single one may be: `*注：` opens a note, `A*` names an algorithm. A pair of them looks forgotten.
_SINGLE_PAIR = regex.compile(r"(?<![*_])([*_])(?=[^\s*_])[^*_\n]++(?<=\S)\1(?![*_])")
_HAN = regex.compile(r"\p{Han}")
_NEAR = 8
_MOST_PLACES = 5


def markdown_to_raw_html(source: str) -> str:
    """HTML that is still to be cleaned. Soft line breaks between Chinese characters are no spaces."""
    rendered = _ESCAPED.sub(r"\1", _render(source))
    return _JOINED_LINES.sub(lambda match: "".join(group or "" for group in match.groups()), rendered)


def find_left_markers(source: str) -> tuple[list[str], list[str]]:
    """Emphasis that was not understood, so that readers would see its markers, each with the words beside it.

    First doubled markers, then single ones in a pair round Chinese text.
    """
    prose = html.unescape(_TAG.sub("", _NO_PROSE.sub(" ", _render(source))))
    pairs = (match for match in _SINGLE_PAIR.finditer(prose) if _HAN.search(match[0]))
    return _places(prose, _DOUBLED.finditer(prose)), _places(prose, pairs)


def _render(source: str) -> str:
    return markdown_to_html(source, _EXTENSIONS, render_options=_RENDERING)


def _places(prose: str, matches: Iterable[regex.Match[str]]) -> list[str]:
    places: list[str] = []
    end = 0
    for match in matches:
        if match.start() >= end and len(places) < _MOST_PLACES:
            end = match.end() + _NEAR
            places.append(single_line(prose[max(0, match.start() - _NEAR):end]))
    return places
