"""Cleaned HTML brought into blocks: every word stands in a paragraph, heading, item or cell of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lxml import etree, html

from schemas import is_visible
from service.text import single_line

INLINE = frozenset({
    "a", "abbr", "b", "bdi", "bdo", "cite", "code", "em", "i", "q", "rp", "rt", "ruby", "s", "small", "span", "strong",
    "sub", "sup", "time", "u",
})
# A page has one h1, its headline.
LEAVES = {"h1": "h2", "h2": "h2", "h3": "h3", "h4": "h4", "h5": "h5", "h6": "h6", "p": "p", "pre": "pre"}
# A run's name until it is known whether it stands alone.
_LOOSE = "loose"
# What loose words become in each block that holds others.
BLOCKS = {
    "blockquote": "p", "ul": "li", "ol": "li", "dl": "dd", "table": "p", "thead": "p", "tbody": "p", "tfoot": "p",
    "tr": "p", "hr": "p", "li": _LOOSE, "dt": _LOOSE, "dd": _LOOSE, "th": _LOOSE, "td": _LOOSE, "caption": _LOOSE,
    "figure": _LOOSE, "figcaption": _LOOSE,
}
VOID = frozenset({"br", "img"})
# Those that browsers take wherever they stand, though they mean nothing outside these.
_PARENTS = {"li": ("ul", "ol"), "dt": ("dl",), "dd": ("dl",), "figcaption": ("figure",)}
# They tell an anchor, with which nothing is lost, from a link that leads nowhere any more.
ANCHOR = frozenset({"name", "id"})

_SPACE = " \t\n\r"
_SHOWN = 40


@dataclass(slots=True)
class _Frame:
    """An open element of the source: where its words go, and what a run of them becomes there."""

    block: html.HtmlElement
    run: str
    attributes: Mapping[str, str]
    loose: list[html.HtmlElement] = field(default_factory=list)


class Arranger:
    """Copies a tree into ``root``. ``links`` and ``pictures`` tell those that had lost their address.

    A block that stands in an inline element is taken out of it, and the element stands in the block instead.
    """

    def __init__(self) -> None:
        self.root = html.Element("div")
        self.links: list[str] = []
        self.pictures: list[str] = []
        self._count = 0
        self._frames = [_Frame(self.root, "p", {})]
        self._inlines: list[etree._Element] = []
        # The run that is open, and the copies of the inline elements in it.
        self._open: list[html.HtmlElement] = []

    def arrange(self, tree: etree._Element) -> None:
        # No recursion, for what is allowed to nest could exhaust the stack.
        for event, element in etree.iterwalk(tree, events=("start", "end")):
            if event == "start":
                self._start(element)
                self._write(element.text)
            else:
                self._end(element)
                self._write(element.tail)

    def _start(self, element: etree._Element) -> None:
        if element.tag in VOID:
            self._place(element)
        elif element.tag not in INLINE:
            self._close_run()
            self._frames.append(self._frame(element, self._frames[-1]))
        elif element.tag != "a" or self._can_stay(element):
            self._inlines.append(element)

    def _frame(self, element: etree._Element, outer: _Frame) -> _Frame:
        attributes = {**outer.attributes, **_kept(element)}
        wanted = _PARENTS.get(element.tag, (outer.block.tag,))
        if element.tag in BLOCKS and outer.block.tag in wanted:
            return _Frame(_append(outer.block, element.tag, attributes), BLOCKS[element.tag], {})
        # A heading or item stays one, whatever stands in it.
        run = LEAVES.get(element.tag, outer.run) if outer.run in ("p", _LOOSE) else outer.run
        return _Frame(outer.block, run, attributes, outer.loose if run == _LOOSE else [])

    def _end(self, element: etree._Element) -> None:
        if element.tag in INLINE:
            if self._inlines and self._inlines[-1] is element:
                self._inlines.pop()
                del self._open[len(self._inlines) + 1:]
        elif element.tag not in VOID:
            self._close_run()
            frame = self._frames.pop()
            if frame.block is not self._frames[-1].block and len(frame.loose) == 1 and not frame.loose[0].attrib:
                frame.loose[0].drop_tag()

    def _write(self, text: str | None) -> None:
        if text and not self._open and self._frames[-1].run != "pre":
            text = text.lstrip(_SPACE)
        if text:
            _add_text(self._opened(), text)

    def _place(self, element: etree._Element) -> None:
        if element.tag == "img":
            self._count += 1
            if "src" not in element.attrib:
                self.pictures.append(single_line(element.get("alt", ""))[:_SHOWN] or f"#{self._count}")
                return
        _append(self._opened(), element.tag, _kept(element))

    def _can_stay(self, link: etree._Element) -> bool:
        """Whether it has an address, and is not in another, as only broken markup has it."""
        can_stay = "href" in link.attrib and all(outer.tag != "a" for outer in self._inlines)
        if not can_stay and not ANCHOR & set(link.attrib):
            self.links.append(single_line("".join(link.itertext()))[:_SHOWN] or "…")
        return can_stay

    def _opened(self) -> html.HtmlElement:
        """The innermost element of the run that is open, in copies of all the inline elements around it."""
        if not self._open:
            self._open.append(self._open_run(self._frames[-1]))
        for element in self._inlines[len(self._open) - 1:]:
            self._open.append(_append(self._open[-1], element.tag, _kept(element)))
        return self._open[-1]

    def _open_run(self, frame: _Frame) -> html.HtmlElement:
        run = _append(frame.block, "p" if frame.run == _LOOSE else frame.run, frame.attributes)
        if frame.run == _LOOSE:
            frame.loose.append(run)
        return run

    def _close_run(self) -> None:
        if not self._open:
            return
        run, frame = self._open[0], self._frames[-1]
        self._open.clear()
        if run.tag == "pre":
            # A parser takes the first line end of a pre for layout.
            run.text = run.text.lstrip("\n") if run.text else None
        else:
            _strip_end(run)
        if not is_visible("".join(run.itertext())) and run.find(".//img") is None:
            frame.block.remove(run)
            if frame.run == _LOOSE:
                frame.loose.remove(run)


def _append(parent: html.HtmlElement, tag: str, attributes: Mapping[str, str]) -> html.HtmlElement:
    element = etree.SubElement(parent, tag, attributes)
    if tag not in VOID and tag != "hr":
        # Else it is written `<td/>`, which HTML takes for a start alone.
        element.text = ""
    return element


def _add_text(element: html.HtmlElement, text: str) -> None:
    if len(element):
        element[-1].tail = (element[-1].tail or "") + text
    else:
        element.text = (element.text or "") + text


def _kept(element: etree._Element) -> dict[str, str]:
    return {name: value for name, value in element.attrib.items() if name not in ANCHOR}


def _strip_end(run: html.HtmlElement) -> None:
    if len(run):
        run[-1].tail = run[-1].tail.rstrip(_SPACE) if run[-1].tail else None
    elif run.text:
        run.text = run.text.rstrip(_SPACE)
