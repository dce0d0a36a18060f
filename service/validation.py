"""A release as posted, to a draft that can be kept, or to all that is wrong with it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from schemas import is_visible
from service import text
from service.bidi import settle_direction
from service.bodies import KINDS, Body, find_body
from service.config import Language, Profile
from service.copyedit import find_edition_warnings, find_line_warnings, find_media_warnings
from service.errors import Fault, Invalid
from service.markdown import find_left_markers
from service.model import Draft, Edition, Release, Warning, Withdrawal
from service.release_media import Stored, find_media_faults, read_media
from service.schema_faults import find_schema_faults, json_pointer

# What is shorter, such as the headline COP31, or holds more may well be meant: it is told as a warning.
_SWAPPED_LETTERS, _SWAPPED_SHARE = 40, 0.05
_TEXTS = ("headline", "summary", *KINDS)


def validate_release(document: Any, profile: Profile, stored: Stored = MappingProxyType({})) -> Draft:
    """Clean and check a release as staff post it. Raises Invalid with every fault.

    ``stored`` holds the uploaded files that the document names, as `media.find_named` finds them.
    """
    return _validate(document, "release", profile, profile.languages, stored)


def validate_revision(
    document: Any, profile: Profile, release: Release, stored: Stored = MappingProxyType({})
) -> Draft:
    """Clean and check a new revision: it keeps the languages that the release has, and may add others.

    A language that the newsroom took up later may go on missing. Raises Invalid with every fault.
    """
    kept = [language for language in profile.languages if release.edition(language.tag)]
    return _validate(document, "release-revision", profile, kept, stored)


def validate_schedule(document: Any) -> datetime:
    """When a release is to go public. Raises Invalid with every fault."""
    if faults := find_schema_faults("schedule", document):
        raise Invalid(faults)
    return read_moment(document["publish_at"])


def validate_withdrawal(document: Any, profile: Profile, release: Release) -> tuple[Withdrawal, tuple[Warning, ...]]:
    """Why a release is taken back, and what staff should know of it. Raises Invalid with every fault."""
    document, _ = strip_characters(document)
    faults = find_schema_faults("withdrawal", document)
    if faults := [*faults, *_find_note_faults(document, "reason", release.languages)]:
        raise Invalid(faults)
    successor = document.get("superseded_by")
    withdrawal = Withdrawal(reason=document["reason"], superseded_by=uuid.UUID(successor) if successor else None)
    return withdrawal, tuple(_find_note_warnings(document, "reason", profile, release.languages))


def read_moment(text: str) -> datetime:
    """A valid `date-time` (RFC 3339) as an instant."""
    return datetime.fromisoformat(text.upper()).astimezone(UTC)


def _validate(document: Any, schema: str, profile: Profile, required: Sequence[Language], stored: Stored) -> Draft:
    document, warnings = strip_characters(document)
    bodies = _find_bodies(document, profile)
    faults = find_schema_faults(schema, document) + list(_find_rule_faults(document, profile, required, bodies))
    faults += find_media_faults(document, profile, stored)
    faults += _find_note_faults(document, "change_note", tuple(_editions(document)))
    if faults:
        raise Invalid(faults)
    media = read_media(document, profile, stored)
    posted = [
        (language, document["editions"][language.tag], bodies[language.tag])
        for language in profile.languages if language.tag in document["editions"]
    ]
    advice = (warning for parts in posted for warning in find_edition_warnings(*parts, profile.base_url))
    return Draft(
        editions=tuple(_edition(*parts) for parts in posted),
        slug=document.get("slug"),
        authoritative_language=document.get("authoritative_language"),
        categories=tuple(document.get("categories", ())),
        contacts=tuple(document.get("contacts", ())),
        media=media,
        change_note=document.get("change_note", {}),
        warnings=(
            *warnings, *advice, *find_media_warnings(media, profile, tuple(bodies)),
            *_find_note_warnings(document, "change_note", profile, tuple(bodies)),
        ),
    )


def strip_characters(document: Any, *place: str | int) -> tuple[Any, tuple[Warning, ...]]:
    """The JSON value with only XML 1.0 characters in its strings, and a warning for each that lost some."""
    if isinstance(document, str):
        return _strip_string(document, *place)
    if isinstance(document, dict):
        stripped = {text.strip_non_xml(key)[0]: strip_characters(value, *place, key) for key, value in document.items()}
        return {key: value for key, (value, _) in stripped.items()}, sum((w for _, w in stripped.values()), ())
    if isinstance(document, list):
        items = [strip_characters(value, *place, number) for number, value in enumerate(document)]
        return [value for value, _ in items], sum((w for _, w in items), ())
    return document, ()


def _strip_string(value: str, *place: str | int) -> tuple[str, tuple[Warning, ...]]:
    """A line also loses what would turn its neighbours round; a body is kept to the character."""
    clean, removed = text.strip_non_xml(value)
    kept, turning = (clean, []) if place and place[-1] in KINDS else settle_direction(clean)
    pointer = json_pointer(*place)
    lost = (
        Warning(pointer=pointer, code="characters_removed", params={"characters": removed}),
        Warning(pointer=pointer, code="direction_removed", params={"characters": turning}),
    )
    return kept, tuple(warning for warning in lost if warning.params["characters"])


def _editions(document: Any) -> dict[str, dict[str, Any]]:
    """What can be looked at of the editions, however broken the document is."""
    editions = document.get("editions") if isinstance(document, dict) else None
    return {tag: e for tag, e in editions.items() if isinstance(e, dict)} if isinstance(editions, dict) else {}


def _find_bodies(document: Any, profile: Profile) -> dict[str, Body]:
    """Language tag to body, for those editions that have any."""
    found = {tag: find_body(edition, profile.base_url) for tag, edition in _editions(document).items()}
    return {tag: body for tag, body in found.items() if body}


def _find_rule_faults(
    document: Any, profile: Profile, required: Sequence[Language], bodies: Mapping[str, Body]
) -> Iterator[Fault]:
    if not isinstance(document, dict):
        return
    if document.get("status") == "draft" and "publish_at" in document:
        yield Fault(pointer="/publish_at", code="draft_with_publish_at")
    if not isinstance(document.get("editions"), dict):
        return
    yield from _find_language_faults(document, profile, required)
    for tag, edition in _editions(document).items():
        if language := profile.find_language(tag):
            yield from _find_edition_faults(language, edition, bodies.get(tag))
    categories = document.get("categories")
    for number, name in enumerate(categories if isinstance(categories, list) else ()):
        if isinstance(name, str) and name not in profile.categories:
            pointer = json_pointer("categories", number)
            yield Fault(pointer=pointer, code="unknown_category", params={"known": profile.categories})


def _find_language_faults(
    document: Mapping[str, Any], profile: Profile, required: Sequence[Language]
) -> Iterator[Fault]:
    tags = [language.tag for language in profile.languages]
    for language in required:
        if language.tag not in document["editions"]:
            pointer = json_pointer("editions", language.tag)
            yield Fault(pointer=pointer, code="missing_edition", params={"language": language.name})
    for tag in document["editions"]:
        if tag not in tags:
            yield Fault(pointer=json_pointer("editions", tag), code="unknown_language", params={"known": tags})
    authoritative = document.get("authoritative_language")
    if isinstance(authoritative, str) and authoritative not in tags:
        yield Fault(pointer="/authoritative_language", code="unknown_language", params={"known": tags})


def _find_note_faults(document: Any, member: str, tags: Sequence[str]) -> list[Fault]:
    """Words to readers in a language whose edition there isn't: they would stand on the pages of the others."""
    return [
        Fault(pointer=json_pointer(member, tag), code="unknown_language", params={"known": list(tags)})
        for tag in _texts(document, member) if tag not in tags
    ]


def _find_note_warnings(document: Any, member: str, profile: Profile, tags: Sequence[str]) -> Iterator[Warning]:
    texts = _texts(document, member)
    for language in profile.languages:
        pointer = json_pointer(member, language.tag)
        if language.tag in texts:
            yield from find_line_warnings(language, pointer, texts[language.tag])
        elif texts and language.tag in tags:
            yield Warning(pointer=pointer, code="note_missing", params={"language": language.name})


def _texts(document: Any, member: str) -> Mapping[str, Any]:
    texts = document.get(member) if isinstance(document, dict) else None
    return texts if isinstance(texts, dict) else {}


def _find_edition_faults(language: Language, edition: Mapping[str, Any], body: Body | None) -> Iterator[Fault]:
    for name in _TEXTS:
        value = edition.get(name)
        if not isinstance(value, str) or not is_visible(value):
            continue
        plain = body.text if body and name == body.field else value
        pointer = json_pointer("editions", language.tag, name)
        if not is_visible(plain):
            is_too_deep = body is not None and body.is_too_deep
            yield Fault(pointer=pointer, code="nested_too_deep" if is_too_deep else "empty_after_cleaning")
        elif _is_swapped(plain, language):
            yield Fault(pointer=pointer, code="wrong_script", params={"language": language.name})
    if body and body.field == "body_markdown" and (places := find_left_markers(body.source)[0]):
        pointer = json_pointer("editions", language.tag, body.field)
        yield Fault(pointer=pointer, code="markers_left", params={"places": places})


def _is_swapped(plain: str, language: Language) -> bool:
    """Whether so long a text with so little of the language's script can only be another language's."""
    wanted, letters = text.weigh_script(plain, language.script)
    return letters >= _SWAPPED_LETTERS and wanted < _SWAPPED_SHARE * letters


def _edition(language: Language, edition: Mapping[str, Any], body: Body) -> Edition:
    dateline = edition.get("dateline")
    return Edition(
        language=language.tag,
        headline=text.single_line(edition["headline"]),
        summary=text.single_line(edition.get("summary", "")) or text.excerpt(body.prose.lead or body.text),
        body_text=body.text,
        body_html=body.prose.html,
        dateline=text.single_line(dateline) if dateline else None,
    )
