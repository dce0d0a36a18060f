"""Release text made safe and comparable: characters, HTML, excerpts, counts, scripts."""

from __future__ import annotations

import html

import langcodes
import nh3
import regex

# Everything outside the Char production of XML 1.0 (fifth edition, section 2.2).
_NOT_XML = regex.compile(r"[^\t\n\r\x20-\uD7FF\uE000-\uFFFD\U00010000-\U0010FFFF]")
# The elements left out end by themselves, wherever they stand (HTML, sections 13.1.2.4 and 13.2.6.5).
_NESTING = regex.compile(r"<(/?)(?!(?:br|dd|dt|embed|hr|img|li|meta|p)[\s/>])([a-z][^\s/>]*)", regex.IGNORECASE)
_TAG_NAME = regex.compile(r"<([a-zA-Z][^\s/>]*)")
_BLOCK_END = regex.compile(r"</(?:p|div|h[1-6]|li|ul|ol|blockquote|pre|table|tr|figure|figcaption|dl|dt|dd)>|<hr>")
_BLOCK = regex.compile(r"<(?:p|h[1-6]|ul|ol|blockquote|pre|table|figure|dl|hr)\b")
_PARAGRAPH_BREAK = regex.compile(r"\n[ \t\u3000]*\n\s*")
_ASCII_SPACE = regex.compile(r"[ \t\r\n]+")
_GRAPHEME = regex.compile(r"\X")
_SENTENCE_END, _CLOSING = frozenset("。！？"), frozenset("”’」』）")
# What a word that is parted by spaces is made of. Chinese and Thai have none that could be broken.
_WORD_PART = regex.compile(
    r"(?V1)[[\p{L}\p{N}'’.-]--[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]].*", regex.DOTALL
)
_LOOSE_END = regex.compile(r"[\s，、；：,;:—–(（“‘「《-]")

EXCERPT_GRAPHEMES = 160
_SHORTEST_EXCERPT = 90

# ISO 15924 codes of the scripts that put no space between words.
_WITHOUT_SPACES = {"Hans", "Hant", "Hani", "Jpan", "Thai", "Laoo", "Khmr", "Mymr"}

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


def nesting(markup: str) -> int:
    """How deep elements stand in each other at most, leaving out those that end by themselves."""
    opened: list[str] = []
    deepest = 0
    for closing, name in _NESTING.findall(markup):
        if not closing:
            opened.append(name.lower())
            deepest = max(deepest, len(opened))
        elif opened and opened[-1] == name.lower():
            # A parser may ignore any other end, so only the innermost element's own counts.
            opened.pop()
    return deepest


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
    """The first paragraph, or as much of it as a summary should hold: whole sentences in Chinese where one
    ends in time, else whole words and an ellipsis. No grapheme cluster is cut.
    """
    first = single_line(next(iter(paragraphs(text)), ""))
    clusters = _GRAPHEME.findall(first)
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


def count_characters(text: str) -> int:
    """What people see as characters (grapheme clusters), without the space between them."""
    return sum(not cluster.isspace() for cluster in _GRAPHEME.findall(text))


def count_words(text: str, script: str) -> int | None:
    """None where the script (ISO 15924 code) does not part words."""
    if script in _WITHOUT_SPACES:
        return None
    return sum(regex.search(r"[\p{L}\p{N}]", word) is not None for word in text.split())


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

