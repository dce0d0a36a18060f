"""The plain text of cleaned HTML, read off its tree in one walk."""

from __future__ import annotations

import regex
from lxml import etree

from schemas import is_visible

_BLOCKS = {
    "blockquote", "caption", "dd", "dl", "dt", "figcaption", "figure", "h2", "h3", "h4", "h5", "h6", "hr", "li", "ol",
    "p", "pre", "table", "ul",
}
_CELLS = {"td", "th"}
_SPACES = regex.compile(r"[ \t\n\r]+")


class Reader:
    """Paragraphs are parted by an empty line, rows and lines by a line end, cells by a tab.

    ``lead`` is the first paragraph that is neither a heading nor in a table.
    """

    def __init__(self) -> None:
        self.lead = ""
        self._written: list[str] = []
        # What parts the next words from these.
        self._gap = ""
        self._cells = self._pres = 0
        self._is_first_cell = True
        self._paragraph = 0

    def read(self, tree: etree._Element) -> None:
        # No recursion, for what is allowed to nest could exhaust the stack.
        for event, element in etree.iterwalk(tree, events=("start", "end")):
            if event == "start":
                self._start(element.tag)
                self._write(element.text)
            else:
                self._end(element.tag)
                self._write(element.tail if element is not tree else None)

    def text(self) -> str:
        return "".join(self._written).strip("\n")

    def _start(self, tag: str) -> None:
        if tag == "br":
            self._part("\n\n" if self._gap else "\n")
        elif tag in _CELLS:
            self._start_cell()
        elif tag == "tr":
            self._part("\n")
            self._is_first_cell = self._is_first_cell or not self._cells
        elif tag in _BLOCKS:
            self._part("\n\n")
        self._pres += tag == "pre"
        if tag == "p":
            self._paragraph = len(self._written)

    def _end(self, tag: str) -> None:
        if tag in _CELLS:
            self._end_cell()
        elif tag in _BLOCKS:
            self._part("\n\n")
        self._pres -= tag == "pre"
        if tag == "p" and not self._cells and not self.lead:
            paragraph = "".join(self._written[self._paragraph:]).strip()
            self.lead = paragraph if is_visible(paragraph) else ""

    def _start_cell(self) -> None:
        if self._cells:
            self._part("\n")
        else:
            self._write_gap()
            self._written.append("" if self._is_first_cell else "\t")
            self._is_first_cell = False
        self._cells += 1

    def _end_cell(self) -> None:
        self._cells -= 1
        if not self._cells:
            self._gap = ""

    def _part(self, gap: str) -> None:
        """A cell is one line, so what would begin another there is parted by a space."""
        self._gap = " " if self._cells else max(self._gap, gap)

    def _write(self, text: str | None) -> None:
        if self._pres and not self._cells:
            words = text or ""
        else:
            words = _SPACES.sub(" ", text or "")
            if self._gap or not self._written or self._written[-1][-1:] in ("", *" \t\n"):
                words = words.lstrip(" ")
        if words:
            self._write_gap()
            self._written.append(words)

    def _write_gap(self) -> None:
        is_cell_start = self._gap == " " and self._written[-1] in ("", "\t")
        if self._gap and self._written and not is_cell_start:
            self._written[-1] = self._written[-1].rstrip(" \n")
            self._written.append(self._gap)
        self._gap = ""
