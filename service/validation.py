"""A release as posted, to a draft that can be kept, or to all that is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from service import text
from service.config import Language, Profile
from service.errors import Fault, Invalid
from service.model import Draft, Edition, Warning
from service.release_media import Stored, find_media_faults, find_media_warnings, read_media
from service.schema_faults import find_schema_faults, json_pointer

# Names and brands keep their own script, most of all in headlines: only clear cases are refused.
_LEAST_SHARE = {"headline": 0.2, "summary": 0.2, "body_text": 0.5, "body_html": 0.5}


def validate_release(document: Any, profile: Profile, stored: Stored = MappingProxyType({})) -> Draft:
    """Clean and check a release as staff post it. Raises Invalid with every fault.

    ``stored`` holds the uploaded files that the document names, as `media.find_named` finds them.
    """
    document, warnings = strip_characters(document)
    bodies = _clean_bodies(document, profile)
    faults = find_schema_faults("release", document) + list(_find_rule_faults(document, profile, bodies))
    faults += find_media_faults(document, profile, stored)
    if faults:
        raise Invalid(sorted(faults, key=lambda fault: fault.pointer))
    editions = tuple(
        _edition(language, document["editions"][language.tag], *bodies[language.tag][:2])
        for language in profile.languages
    )
    media = read_media(document, profile, stored)
    return Draft(
        editions=editions,
        slug=document.get("slug"),
        authoritative_language=document.get("authoritative_language"),
        categories=tuple(document.get("categories", ())),
        contacts=tuple(document.get("contacts", ())),
        media=media,
        warnings=(*warnings, *_markup_warnings(bodies), *find_media_warnings(media, profile, tuple(bodies))),
    )


def strip_characters(document: Any, *place: str | int) -> tuple[Any, tuple[Warning, ...]]:
    """The JSON value with only XML 1.0 characters in its strings, and a warning for each that lost some."""
    if isinstance(document, str):
        clean, removed = text.strip_non_xml(document)
        lost = Warning(pointer=json_pointer(*place), code="characters_removed", params={"characters": removed})
        return clean, (lost,) if removed else ()
    if isinstance(document, dict):
        stripped = {text.strip_non_xml(key)[0]: strip_characters(value, *place, key) for key, value in document.items()}
        return {key: value for key, (value, _) in stripped.items()}, sum((w for _, w in stripped.values()), ())
    if isinstance(document, list):
        items = [strip_characters(value, *place, number) for number, value in enumerate(document)]
        return [value for value, _ in items], sum((w for _, w in items), ())
    return document, ()


def _editions(document: Any) -> dict[str, dict[str, Any]]:
    """What can be looked at of the editions, however broken the document is."""
    editions = document.get("editions") if isinstance(document, dict) else None
    return {tag: e for tag, e in editions.items() if isinstance(e, dict)} if isinstance(editions, dict) else {}


def _clean_bodies(document: Any, profile: Profile) -> dict[str, tuple[str, str, list[str]]]:
    """Language tag to body text, body HTML and the names of the elements taken out."""
    bodies = {}
    for tag, edition in _editions(document).items():
        if isinstance(edition.get("body_text"), str):
            plain = edition["body_text"].strip("\n")
            bodies[tag] = (plain, text.text_to_html(plain), [])
        elif isinstance(edition.get("body_html"), str):
            clean, removed = text.clean_html(edition["body_html"], profile.base_url)
            bodies[tag] = (text.html_to_text(clean), clean, removed)
    return bodies


def _find_rule_faults(
    document: Any, profile: Profile, bodies: Mapping[str, tuple[str, str, list[str]]]
) -> Iterator[Fault]:
    if not isinstance(document, dict) or not isinstance(document.get("editions"), dict):
        return
    yield from _find_language_faults(document, profile)
    for tag, edition in _editions(document).items():
        if language := profile.find_language(tag):
            yield from _find_edition_faults(language, edition, bodies.get(tag))
    categories = document.get("categories")
    for number, name in enumerate(categories if isinstance(categories, list) else ()):
        if isinstance(name, str) and name not in profile.categories:
            known = sorted(profile.categories)
            yield Fault(pointer=json_pointer("categories", number), code="unknown_category", params={"known": known})


def _find_language_faults(document: Mapping[str, Any], profile: Profile) -> Iterator[Fault]:
    tags = [language.tag for language in profile.languages]
    for language in profile.languages:
        if language.tag not in document["editions"]:
            pointer = json_pointer("editions", language.tag)
            yield Fault(pointer=pointer, code="missing_edition", params={"language": language.name})
    for tag in document["editions"]:
        if tag not in tags:
            yield Fault(pointer=json_pointer("editions", tag), code="unknown_language", params={"known": tags})
    authoritative = document.get("authoritative_language")
    if isinstance(authoritative, str) and authoritative not in tags:
        yield Fault(pointer="/authoritative_language", code="unknown_language", params={"known": tags})


def _find_edition_faults(
    language: Language, edition: Mapping[str, Any], body: tuple[str, str, list[str]] | None
) -> Iterator[Fault]:
    for name, least in _LEAST_SHARE.items():
        value = edition.get(name)
        if not isinstance(value, str) or not value.strip():
            continue
        plain = body[0] if body and name == "body_html" else value
        share = text.script_share(plain, language.script)
        pointer = json_pointer("editions", language.tag, name)
        if name == "body_html" and not plain.strip():
            yield Fault(pointer=pointer, code="empty_after_cleaning")
        elif share is not None and share < least:
            yield Fault(pointer=pointer, code="wrong_script", params={"language": language.name})


def _edition(language: Language, edition: Mapping[str, Any], body_text: str, body_html: str) -> Edition:
    dateline = edition.get("dateline")
    return Edition(
        language=language.tag,
        headline=text.single_line(edition["headline"]),
        summary=text.single_line(edition.get("summary", "")) or text.excerpt(body_text),
        body_text=body_text,
        body_html=body_html,
        dateline=text.single_line(dateline) if dateline else None,
    )


def _markup_warnings(bodies: Mapping[str, tuple[str, str, list[str]]]) -> Iterator[Warning]:
    for tag, (_, _, removed) in bodies.items():
        if removed:
            pointer = json_pointer("editions", tag, "body_html")
            yield Warning(pointer=pointer, code="markup_removed", params={"elements": removed})
