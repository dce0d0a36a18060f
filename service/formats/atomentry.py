"""An Atom entry as a document of its own."""

from __future__ import annotations

from copy import deepcopy

from lxml import etree

from service.formats.checks import require_renderable
from service.formats.syndication import render_atom
from service.model import Feed

MEDIA_TYPE = "application/atom+xml;type=entry"
_ATOM = "{http://www.w3.org/2005/Atom}"


def render_entry(feed: Feed) -> bytes:
    """The feed's first entry, to the letter as the feed has it, with the author that it had from the feed.

    RFC 4287 section 4.1.2: an entry document names an author. Raises as `formats.render` does.
    """
    require_renderable(feed)
    root = etree.fromstring(render_atom(feed))
    entry = root.find(f"{_ATOM}entry")
    entry.append(deepcopy(root.find(f"{_ATOM}author")))
    etree.cleanup_namespaces(entry)
    return etree.tostring(entry, encoding="UTF-8", xml_declaration=True)
