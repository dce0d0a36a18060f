"""Sitemaps (sitemaps.org protocol 0.9) with the languages of each page, as search engines read them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from lxml.etree import Element, SubElement, _Element, tostring

from service.formats.notation import rfc3339
from service.model import Related

SITEMAP = "application/xml"
_NAMESPACE = "http://www.sitemaps.org/schemas/sitemap/0.9"
_XHTML = "http://www.w3.org/1999/xhtml"


@dataclass(frozen=True, slots=True)
class Leaf:
    """One page in all its languages, the newsroom's first ahead. ``changed_at`` is None where it changes always."""

    pages: Sequence[Related]
    changed_at: datetime | None = None


def render_sitemap(leaves: Iterable[Leaf]) -> bytes:
    """Each page in each language, with all its languages and itself among them, as they must be told."""
    root = Element(_tag("urlset"), nsmap={None: _NAMESPACE, "xhtml": _XHTML})
    for leaf in leaves:
        alternates = [*((page.language, page.url) for page in leaf.pages), ("x-default", leaf.pages[0].url)]
        for page in leaf.pages:
            _add_page(root, page.url, leaf.changed_at, alternates)
    return _written(root)


def render_sitemap_index(urls: Iterable[str]) -> bytes:
    root = Element(_tag("sitemapindex"), nsmap={None: _NAMESPACE})
    for url in urls:
        SubElement(SubElement(root, _tag("sitemap")), _tag("loc")).text = url
    return _written(root)


def _add_page(root: _Element, url: str, changed_at: datetime | None, alternates: Sequence[tuple[str, str]]) -> None:
    element = SubElement(root, _tag("url"))
    SubElement(element, _tag("loc")).text = url
    if changed_at:
        SubElement(element, _tag("lastmod")).text = rfc3339(changed_at)
    for language, address in alternates:
        SubElement(element, f"{{{_XHTML}}}link", rel="alternate", hreflang=language, href=address)


def _tag(name: str) -> str:
    return f"{{{_NAMESPACE}}}{name}"


def _written(root: _Element) -> bytes:
    return tostring(root, encoding="UTF-8", xml_declaration=True)
