"""Media RSS 1.5.1 (RSS Advisory Board), which carries what RSS 2.0's one enclosure can't.

Each medium is its own ``media:content``, for ``media:group`` is kept for one thing in several forms. Its ``lang``
is the language spoken inside the file, which nobody tells us; that of its texts is the item's ``xml:lang``.
"""

from __future__ import annotations

from feedgen.ext.base import BaseEntryExtension, BaseExtension
from lxml.etree import SubElement, _Element

from service.model import Entry, Medium

_NAMESPACE = "http://search.yahoo.com/mrss/"
_KINDS = {"image": "image", "audio": "audio", "video": "video"}


class MediaRssExtension(BaseExtension):
    """Declares the namespace."""

    def extend_ns(self) -> dict[str, str]:
        return {"media": _NAMESPACE}


class MediaRssEntryExtension(BaseEntryExtension):
    """An entry's media: the first whose length is known as RSS's enclosure, all of them as Media RSS."""

    def __init__(self, entry: Entry) -> None:
        self._entry = entry

    def extend_rss(self, element: _Element) -> _Element:
        # RSS 2.0 asks for the length, and the profile for one enclosure at most.
        enclosed = next((medium for medium in self._entry.media if medium.byte_length), None)
        if enclosed:
            attributes = {"url": enclosed.url, "length": str(enclosed.byte_length), "type": enclosed.type}
            SubElement(element, "enclosure", attributes)
        for medium in self._entry.media:
            _add_content(element, medium)
        return element


def _add_content(item: _Element, medium: Medium) -> None:
    known = {"fileSize": medium.byte_length, "width": medium.width, "height": medium.height}
    attributes = {
        "url": medium.url, "type": medium.type, "medium": _KINDS.get(medium.type.split("/")[0], "document"),
    } | {name: str(value) for name, value in known.items() if value}
    content = SubElement(item, f"{{{_NAMESPACE}}}content", attributes)
    for name, words in (("title", medium.title), ("description", medium.alt), ("credit", medium.credit)):
        if words:
            text = SubElement(content, f"{{{_NAMESPACE}}}{name}")
            text.text = words
            if name != "credit":
                text.set("type", "plain")
