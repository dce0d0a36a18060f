"""Plain text made safe and comparable: characters, paragraphs, excerpts, counts, scripts."""

from __future__ import annotations

import functools
import html
import itertools
from collections import Counter
from collections.abc import Iterable

import langcodes
import regex

# Everything outside the Char production of XML 1.0 (fifth edition, section 2.2).
_NOT_XML = regex.compile(r"[^\t\n\r\x20-\uD7FF\uE000-\uFFFD\U00010000-\U0010FFFF]")
_PARAGRAPH_BREAK = regex.compile(r"\n(?:[^\S\n]*+\n)+")
_GRAPHEME = regex.compile(r"\X")
_LETTER = regex.compile(r"\p{L}")
_WORD = regex.compile(r"[^\s\p{L}\p{N}]*+[\p{L}\p{N}]\S*+")
_SENTENCE_END, _CLOSING = frozenset("。！？"), frozenset("”’」』）")
_ENDED = regex.compile(r"[.!?…。！？][\p{Pe}\p{Pf}\"']*\Z")
# What a word that is parted by spaces is made of. Chinese and Thai have none that could be broken.
_WORD_PART = regex.compile(
    r"(?V1)[[\p{L}\p{N}'’.-]--[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]].*", regex.DOTALL
)
_LOOSE_END = regex.compile(r"[\s，、；：,;:—–(（“‘「《-]")

EXCERPT_GRAPHEMES = 160
_SHORTEST_EXCERPT = 90

# ISO 15924 codes of the scripts that put no space between words.
_WITHOUT_SPACES = {"Hans", "Hant", "Hani", "Jpan", "Thai", "Laoo", "Khmr", "Mymr"}

# ISO 15924 code -> the Unicode scripts that text in it is written with.
_COMPOUND_SCRIPTS = {
    "Hans": ("Han",),
    "Hant": ("Han",),
    "Jpan": ("Han", "Hiragana", "Katakana"),
    "Kore": ("Hangul", "Han"),
}
# One such character says as much as about three letters of an alphabet.
_DENSE = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}]")
_DENSE_WEIGHT = 3


def is_dense(language: str) -> bool:
    """Whether text in this language (BCP 47 tag) is written without spaces between its words."""
    script = langcodes.Language.get(language).maximize().script
    return script in {*_COMPOUND_SCRIPTS, "Hani"} - {"Kore"}


def strip_non_xml(text: str) -> tuple[str, list[str]]:
    """The text with line ends as LF and only XML characters, and what was taken out as `U+0000` names."""
    removed = sorted({f"U+{ord(character):04X}" for character in _NOT_XML.findall(text)})
    return _NOT_XML.sub("", text).replace("\r\n", "\n").replace("\r", "\n"), removed


def single_line(text: str) -> str:
    return " ".join(text.split())


def paragraphs(text: str) -> list[str]:
    """Plain text parted at its empty lines, every other character kept."""
    return [part for part in _PARAGRAPH_BREAK.split(text.strip("\n \t")) if part.strip()]


def text_to_html(text: str) -> str:
    """Plain text as paragraphs; it is escaped, never cleaned, so that `<angle>` survives."""
    escaped = (html.escape(part, quote=False).replace("\n", "<br>") for part in paragraphs(text))
    return "\n".join(f"<p>{part}</p>" for part in escaped)


def excerpt(text: str) -> str:
    """The first paragraph, or as much of it as a summary should hold: whole sentences in Chinese where one
    ends in time, else whole words and an ellipsis. No grapheme cluster is cut.
    """
    first = single_line(next(iter(paragraphs(text)), ""))
    # One more than there is room for tells how it goes on; the first paragraph may be the whole text.
    clusters = [match[0] for match in itertools.islice(_GRAPHEME.finditer(first), EXCERPT_GRAPHEMES + 1)]
    if len(clusters) <= EXCERPT_GRAPHEMES:
        return first
    sentences = _end_of_sentences(clusters)
    if sentences >= _SHORTEST_EXCERPT:
        return "".join(clusters[:sentences])
    cut = clusters[:EXCERPT_GRAPHEMES]
    if _WORD_PART.match(clusters[EXCERPT_GRAPHEMES]):
        cut = _without_end(cut, _WORD_PART) or cut
    return "".join(_without_end(cut, _LOOSE_END)) + "…"


def _end_of_sentences(clusters: list[str]) -> int:
    """How many clusters hold the whole Chinese sentences that an excerpt has room for."""
    ends = [number for number in range(EXCERPT_GRAPHEMES) if clusters[number] in _SENTENCE_END]
    end = ends[-1] + 1 if ends else 0
    while 0 < end < EXCERPT_GRAPHEMES and clusters[end] in _CLOSING:
        end += 1
    return end


def _without_end(clusters: list[str], unwanted: regex.Pattern[str]) -> list[str]:
    end = len(clusters)
    while end and unwanted.fullmatch(clusters[end - 1]):
        end -= 1
    return clusters[:end]


def join_remarks(remarks: Iterable[str], language: str) -> str:
    """Several remarks in a row, no words twice, as text in this language (BCP 47 tag) goes on.

    A semicolon parts those that don't end in a mark of their own.
    """
    gap, stop = ("", "；") if is_dense(language) else (" ", "; ")
    said = list(dict.fromkeys(remark.strip() for remark in remarks))
    ends = [gap if _ENDED.search(remark) else stop for remark in said[:-1]]
    return "".join(itertools.chain(*itertools.zip_longest(said, ends, fillvalue="")))


def count_characters(text: str) -> int:
    """What people see as characters (grapheme clusters), without the space between them."""
    return sum(not cluster.isspace() for cluster in _GRAPHEME.findall(text))


def count_words(text: str, script: str) -> int | None:
    """None where the script (ISO 15924 code) does not part words."""
    return None if script in _WITHOUT_SPACES else len(_WORD.findall(text))


def weigh_script(text: str, script: str) -> tuple[int, int]:
    """What the text's letters weigh that are in the script (ISO 15924 code), and what all of them do."""
    counts = Counter(text)
    letters = _LETTER.findall("".join(counts))
    weights = {letter: counts[letter] * (_DENSE_WEIGHT if _DENSE.match(letter) else 1) for letter in letters}
    wanted = _script_pattern(script).findall("".join(letters))
    return sum(weights[letter] for letter in wanted), sum(weights.values())


@functools.cache
def _script_pattern(script: str) -> regex.Pattern[str]:
    names = _COMPOUND_SCRIPTS.get(script, (script,))
    return regex.compile("[" + "".join(rf"\p{{Script={name}}}" for name in names) + "]")
