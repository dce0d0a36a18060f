"""What an editor would mark in a release that is otherwise fine. Nothing here changes it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from service.bidi import settle_direction
from service.bodies import Body, find_mended
from service.config import Language, Profile
from service.han import foreign_characters, is_chinese, mend_punctuation
from service.markdown import find_left_markers
from service.markup import Losses
from service.media_types import is_image
from service.model import ReleaseMedium, Warning
from service.release_media import TEXTS
from service.schema_faults import json_pointer
from service.text import weigh_script

_LINES = ("headline", "summary", "dateline")
_MOST_CHARACTERS = 20
# Names and brands keep their own script, most of all in headlines.
_LEAST_SHARE, _LEAST_SHARE_OF_BODY = {"headline": 0.2, "summary": 0.2}, 0.5


def find_edition_warnings(
    language: Language, edition: Mapping[str, Any], body: Body, base_url: str
) -> Iterator[Warning]:
    """Warnings about one valid edition, field by field."""
    pointer = json_pointer("editions", language.tag, body.field)
    yield from _find_losses(pointer, body.losses)
    if body.field == "body_markdown" and (places := find_left_markers(body.source)[1]):
        yield Warning(pointer=pointer, code="markers_left", params={"places": places})
    yield from _find_other_scripts(language, edition, body)
    yield from _find_direction(language, body)
    for name in _LINES:
        if name in edition:
            yield from find_line_warnings(language, json_pointer("editions", language.tag, name), edition[name])
    if is_chinese(language.script):
        yield from _find_punctuation(language, pointer, body, base_url)
        yield from _find_mixture(language, pointer, body.text)


def find_line_warnings(language: Language, pointer: str, line: str) -> Iterator[Warning]:
    """Warnings about one line of what readers are told, such as a headline, a note or a credit."""
    if is_chinese(language.script):
        mended = mend_punctuation(line, script=language.script)
        if mended != line:
            yield Warning(pointer=pointer, code="half_width_punctuation", suggestion=mended)
        yield from _find_mixture(language, pointer, line)


def find_media_warnings(media: Sequence[ReleaseMedium], profile: Profile, tags: Sequence[str]) -> Iterator[Warning]:
    """An image without words for those who don't see it, in each of the release's languages, and words to mend."""
    for (number, medium), language in itertools.product(enumerate(media), profile.languages):
        if is_image(medium.type) and language.tag in tags and language.tag not in medium.alt:
            pointer = json_pointer("media", number, "alt", language.tag)
            yield Warning(pointer=pointer, code="alt_missing", params={"language": language.name})
        for name in TEXTS:
            if line := getattr(medium, name).get(language.tag):
                yield from find_line_warnings(language, json_pointer("media", number, name, language.tag), line)


def _find_other_scripts(language: Language, edition: Mapping[str, Any], body: Body) -> Iterator[Warning]:
    texts = {name: edition[name] for name in _LEAST_SHARE if name in edition} | {body.field: body.text}
    for name, value in texts.items():
        wanted, letters = weigh_script(value, language.script)
        if wanted < letters * _LEAST_SHARE.get(name, _LEAST_SHARE_OF_BODY):
            pointer = json_pointer("editions", language.tag, name)
            yield Warning(pointer=pointer, code="check_script", params={"language": language.name})


def _find_direction(language: Language, body: Body) -> Iterator[Warning]:
    """Each line by itself, for no control reaches beyond the end of its line (UAX #9, rule X8)."""
    turning = {name for line in body.text.split("\n") for name in settle_direction(line)[1]}
    if turning:
        pointer = json_pointer("editions", language.tag, body.field)
        yield Warning(pointer=pointer, code="direction_kept", params={"characters": sorted(turning)})


def _find_losses(pointer: str, losses: Losses) -> Iterator[Warning]:
    if losses.elements:
        yield Warning(pointer=pointer, code="markup_removed", params={"elements": list(losses.elements)})
    if losses.links:
        yield Warning(pointer=pointer, code="links_removed", params={"links": list(losses.links)})
    if losses.pictures:
        yield Warning(pointer=pointer, code="pictures_removed", params={"pictures": list(losses.pictures)})


def _find_punctuation(language: Language, pointer: str, body: Body, base_url: str) -> Iterator[Warning]:
    is_wrong, suggestion = find_mended(body, base_url, language.script)
    if is_wrong:
        yield Warning(pointer=pointer, code="half_width_punctuation", suggestion=suggestion)


def _find_mixture(language: Language, pointer: str, value: str) -> Iterator[Warning]:
    if characters := foreign_characters(value, language.script):
        params = {"language": language.name, "characters": characters[:_MOST_CHARACTERS]}
        yield Warning(pointer=pointer, code="mixed_han", params=params)
