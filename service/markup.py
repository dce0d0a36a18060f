"""HTML from outside, made harmless, as blocks that can stand on any page, and as plain text."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import nh3
import regex
from lxml import etree

from service.blocks import ANCHOR, BLOCKS, INLINE, LEAVES, VOID, Arranger
from service.reading import Reader
from service.text import strip_non_xml

_TAGS = {*INLINE, *BLOCKS, *LEAVES, *VOID}
# What parts paragraphs and says no more than that: mail programs and editors write these for every line.
_CONTAINERS = {
    "address", "article", "aside", "center", "details", "div", "footer", "header", "hgroup", "main", "nav", "section",
    "summary",
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
# What Word and mail programs put round the text, besides names with a colon: nobody misses it.
_NOISE = _CONTAINERS | {"body", "col", "colgroup", "font", "head", "html", "link", "meta", "style", "title", "xml"}
_TAG_NAME = regex.compile(r"<([a-zA-Z][^\s/>]*)")
# The elements left out end by themselves, wherever they stand (HTML, sections 13.1.2.4 and 13.2.6.5).
_NESTING = regex.compile(r"<(/?)(?!(?:br|dd|dt|embed|hr|img|li|meta|p)[\s/>])([a-z][^\s/>]*)", regex.IGNORECASE)
# Cleaning takes time by the square of the depth: 245 seconds for 150,000 quotations in each other.
_DEEPEST = 200
# What is left open begins anew in each block that follows (HTML, section 13.2.4.3): 190 times `<b>` before 5,000
# times `<p>` become a million elements.
_REOPENED = INLINE | {"big", "font", "nobr", "strike", "tt"}
_MOST_COPIES = 200_000
# HTML as the sanitiser writes it differs from XML by these and `&nbsp;` alone (HTML, section 13.3).
_UNCLOSED = regex.compile(r"<((?:br|hr|img)\b[^<>]*)>")
# What browsers take off both ends of an address (WHATWG URL, section 4.4).
_EDGES = "".join(map(chr, range(0x21)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Losses:
    """What cleaning took out: elements by name, links by their words, pictures by their text or number."""

    elements: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    pictures: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Prose:
    """One text as HTML and plain. ``lead`` is its first paragraph, empty where it has none."""

    html: str
    text: str
    lead: str
    losses: Losses = Losses()


def is_too_deep(markup: str) -> bool:
    """Whether its elements stand in each other so deep, or are left open so often, that cleaning would take minutes."""
    tags = [(closing, name.lower()) for closing, name in _NESTING.findall(markup)]
    inline = [(closing, name) for closing, name in tags if name in _REOPENED]
    return _depth(tags) > _DEEPEST or _depth(inline) * markup.count("<") > _MOST_COPIES


def _depth(tags: Iterable[tuple[str, str]]) -> int:
    opened: list[str] = []
    deepest = 0
    for closing, name in tags:
        if not closing:
            opened.append(name)
            deepest = max(deepest, len(opened))
        elif opened and opened[-1] == name:
            # A parser may ignore any other end, so only the innermost element's own counts.
            opened.pop()
    return deepest


def read_html(dirty: str, base_url: str) -> Prose:
    """HTML with only harmless markup in well-formed blocks, links absolute."""
    arranger, reader = Arranger(), Reader()
    # Addresses stay relative here: resolved, one of nothing would be our home page's.
    arranger.arrange(_parse(_clean(dirty, _find_address, _TAGS | _CONTAINERS, ANCHOR)))
    reader.read(arranger.root)
    blocks = (etree.tostring(block, encoding="unicode", with_tail=False) for block in arranger.root)
    return Prose(
        # Whatever was done to it, the sanitiser has the last word.
        html=_clean("\n".join(blocks), ("rewrite_with_base", base_url.rstrip("/") + "/"), _TAGS),
        text=reader.text(),
        lead=reader.lead,
        losses=Losses(
            elements=_removed(dirty), links=tuple(arranger.links), pictures=tuple(arranger.pictures)
        ),
    )


def _removed(dirty: str) -> tuple[str, ...]:
    names = {name.lower() for name in _TAG_NAME.findall(dirty)} - _TAGS - _NOISE
    return tuple(sorted(name for name in names if ":" not in name))


def _find_address(relative: str) -> str | None:
    """None where it leads nowhere: nothing is left of the places in a text that `#place` names."""
    address = relative.strip(_EDGES)
    return relative if address and not address.startswith("#") else None


def _clean(
    dirty: str, relative: nh3.UrlRelative, tags: AbstractSet[str], anchor: AbstractSet[str] = frozenset()
) -> str:
    cleaner = nh3.Cleaner(
        tags=set(tags),
        clean_content_tags={"script", "style", "title"},
        attributes={**_ATTRIBUTES, "a": {*_ATTRIBUTES["a"], *anchor}},
        url_schemes={"http", "https", "mailto"},
        url_relative=relative,
    )
    # A reference such as `&#11;` brings in what the source did not hold.
    return strip_non_xml(cleaner.clean(dirty))[0]


def _parse(clean: str) -> etree._Element:
    """The sanitiser's own tree: an HTML parser would mend it anew, and lose `<b>` round a paragraph."""
    xml = _UNCLOSED.sub(r"<\1/>", clean.replace("&nbsp;", "\u00a0"))
    parser = etree.XMLParser(huge_tree=True, resolve_entities=False, no_network=True)
    return etree.fromstring(f"<div>{xml}</div>", parser)
