"""An edition's body in whichever of the three kinds it was posted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from service.han import Markup, mend_punctuation
from service.markdown import markdown_to_raw_html
from service.markup import Losses, Prose, is_too_deep, read_html
from service.text import text_to_html

# Field of the edition -> how it is written.
KINDS: Mapping[str, Markup] = {"body_text": "text", "body_html": "html", "body_markdown": "markdown"}

_NOTHING = Prose(html="", text="", lead="")


@dataclass(frozen=True, slots=True)
class Body:
    """``source`` is what stood in the ``field``. One that is nested too deep has no ``prose``."""

    field: str
    source: str
    prose: Prose = _NOTHING
    is_too_deep: bool = False

    @property
    def text(self) -> str:
        return self.prose.text

    @property
    def losses(self) -> Losses:
        return self.prose.losses


def find_body(edition: Mapping[str, Any], base_url: str) -> Body | None:
    """The first body that is a text, however broken the rest is. Links are made absolute."""
    fields = (field for field in KINDS if isinstance(edition.get(field), str))
    return next((_read(field, edition[field], base_url) for field in fields), None)


def find_mended(body: Body, base_url: str, script: str) -> tuple[bool, str | None]:
    """Whether punctuation needs mending, and the whole source mended where that changes nothing else."""
    plain = mend_punctuation(body.text, script=script)
    if plain == body.text:
        return False, None
    source = mend_punctuation(body.source, KINDS[body.field], script)
    return True, source if _read(body.field, source, base_url).text == plain else None


def _read(field: str, source: str, base_url: str) -> Body:
    if field == "body_text":
        plain = source.strip("\n")
        return Body(field, source, Prose(html=text_to_html(plain), text=plain, lead=plain))
    raw = source if field == "body_html" else markdown_to_raw_html(source)
    if is_too_deep(raw):
        return Body(field, source, is_too_deep=True)
    return Body(field, source, read_html(raw, base_url))
