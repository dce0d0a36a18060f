"""Release text made safe and comparable: characters, HTML, excerpts, scripts."""

from __future__ import annotations

import html

import langcodes
import nh3
import regex

# Everything outside the Char production of XML 1.0 (fifth edition, section 2.2).
_NOT_XML = regex.compile(r"[^\t\n\r\x20-\uD7FF\uE000-\uFFFD\U00010000-\U0010FFFF]")
_TAG_NAME = regex.compile(r"<([a-zA-Z][^\s/>]*)")
_BLOCK_END = regex.compile(r"</(?:p|div|h[1-6]|li|ul|ol|blockquote|pre|table|tr|figure|figcaption|dl|dt|dd)>|<hr>")
_BLOCK = regex.compile(r"<(?:p|h[1-6]|ul|ol|blockquote|pre|table|figure|dl|hr)\b")
_PARAGRAPH_BREAK = regex.compile(r"\n[ \t\u3000]*\n\s*")
_ASCII_SPACE = regex.compile(r"[ \t\r\n]+")
_GRAPHEME = regex.compile(r"\X")
_WORD_END = regex.compile(r"\s+\S*$")

EXCERPT_GRAPHEMES = 160

_TAGS = {
    "a", "abbr", "b", "bdi", "bdo", "blockquote", "br", "caption", "cite", "code", "dd", "dl", "dt", "em",
    "figcaption", "figure", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "i", "img", "li", "ol", "p", "pre", "q",
    "rp", "rt", "ruby", "s", "small", "span", "strong", "sub", "sup", "table", "tbody", "td", "tfoot", "th",
    "thead", "time", "tr", "u", "ul",
}
_ATTRIBUTES = {
    "*": {"lang", "dir"},
    "a": {"href", "hreflang", "title"},
    "img": {"src", "alt", "width", "height", "title"},
    "ol": {"start"},
    "td": {"colspan", "rowspan"},
    "th": {"colspan", "rowspan", "scope"},
    "time": {"datetime"},
}

# ISO 15924 code -> the Unicode scripts that text in it is written with.
_COMPOUND_SCRIPTS = {
    "Hans": ("Han",),
    "Hant": ("Han",),
    "Jpan": ("Han", "Hiragana", "Katakana"),
    "Kore": ("Hangul", "Han"),
}
# One such character says as much as about three letters of an alphabet.
_DENSE = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}]"
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
    return [part for part in _PARAGRAPH_BREAK.split(text.strip("\n \t")) if part]


def text_to_html(text: str) -> str:
    """Plain text as paragraphs; it is escaped, never cleaned, so that `<angle>` survives."""
    escaped = (html.escape(part, quote=False).replace("\n", "<br>") for part in paragraphs(text))
    return "\n".join(f"<p>{part}</p>" for part in escaped)


def clean_html(dirty: str, base_url: str) -> tuple[str, list[str]]:
    """HTML with only harmless markup, links absolute, and the names of the elements taken out."""
    cleaner = nh3.Cleaner(
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        url_schemes={"http", "https", "mailto"},
        url_relative=("rewrite_with_base", base_url.rstrip("/") + "/"),
    )
    clean = cleaner.clean(dirty).strip()
    removed = {name.lower() for name in _TAG_NAME.findall(dirty)} - _TAGS
    return clean if _BLOCK.search(clean) else f"<p>{clean}</p>", sorted(removed)


def html_to_text(clean: str) -> str:
    """Cleaned HTML as plain text: an empty line after each block, a line end for each `<br>`."""
    flat = _ASCII_SPACE.sub(" ", clean)
    parted = _BLOCK_END.sub("\n\n", flat.replace("<br>", "\n"))
    text = html.unescape(nh3.clean(parted, tags=set()))
    lines = (line.strip(" \t") for line in text.split("\n"))
    return regex.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n")


def excerpt(text: str) -> str:
    """The first paragraph, or as much of it as a summary should hold, ended by an ellipsis where cut."""
    first = single_line(next(iter(paragraphs(text)), ""))
    clusters = _GRAPHEME.findall(first)
    if len(clusters) <= EXCERPT_GRAPHEMES:
        return first
    cut = "".join(clusters[:EXCERPT_GRAPHEMES])
    # Scripts that part words with spaces are cut between words; Chinese has none to find.
    return (_WORD_END.sub("", cut) if regex.search(r"\s\S{0,30}$", cut) else cut) + "…"


def script_share(text: str, script: str) -> float | None:
    """How much of the text's letters is in the script (ISO 15924 code), 0 to 1; None without letters."""
    names = _COMPOUND_SCRIPTS.get(script, (script,))
    wanted = regex.compile("[" + "".join(rf"\p{{Script={name}}}" for name in names) + "]")
    weights = [
        (_DENSE_WEIGHT if regex.match(_DENSE, letter) else 1, bool(wanted.match(letter)))
        for letter in regex.findall(r"\p{L}", text)
    ]
    total = sum(weight for weight, _ in weights)
    return sum(weight for weight, hit in weights if hit) / total if total else None

