"""A release's media: read from the document that staff post, and told in the language of each reader."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from service import text
from service.config import Profile
from service.errors import Fault
from service.media_types import is_image
from service.model import Medium, Release, ReleaseMedium, StoredMedium
from service.schema_faults import json_pointer

PATH = "/media/"
# The schema refuses more.
MOST_MEDIA = 20
TEXTS = ("title", "alt", "credit")
# What the store knows of an uploaded file better than anybody.
_KNOWN = ("type", "byte_length", "width", "height")

_ID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
# What an upload is served as: some of its hash, and its extension.
FILE_NAME = re.compile(r"[0-9a-f]{32}\.[a-z0-9]{3,4}")

# By what the document says: an id, or the address that an upload was answered with.
Stored = Mapping[str, StoredMedium]


def media_of(document: Any) -> list[tuple[int, dict[str, Any]]]:
    """What can be looked at of the media, with its place, however broken the document is."""
    items = document.get("media") if isinstance(document, dict) else None
    listed = items[:MOST_MEDIA] if isinstance(items, list) else []
    return [(number, item) for number, item in enumerate(listed) if isinstance(item, dict)]


def uploads_of(document: Any, profile: Profile) -> dict[str, uuid.UUID | str]:
    """What the document says to name an uploaded file, and the id or file name that it means."""
    said = {words for _, item in media_of(document) if (words := _said(item, profile))}
    addresses = {words for words in said if words.startswith(profile.base_url)}
    files = {address: address.removeprefix(profile.base_url + PATH) for address in addresses}
    # Anything else in its place is no name, and not every database could be asked for it.
    named: dict[str, uuid.UUID | str] = {address: name for address, name in files.items() if FILE_NAME.fullmatch(name)}
    return named | {words: uuid.UUID(words) for words in said - addresses}


def find_media_faults(document: Any, profile: Profile, stored: Stored) -> Iterator[Fault]:
    """What the schema can't see: unknown ids and languages, and what contradicts the uploaded file."""
    tags = [language.tag for language in profile.languages]
    for number, item in media_of(document):
        said = _said(item, profile)
        if said and said not in stored:
            member = "media" if "media" in item else "url"
            yield Fault(pointer=json_pointer("media", number, member), code="unknown_medium", params={"id": said})
        elif said:
            yield from _find_contradictions(number, item, stored[said])
        for member in TEXTS:
            for tag in set(_texts(item, member)).difference(tags):
                pointer = json_pointer("media", number, member, tag)
                yield Fault(pointer=pointer, code="unknown_language", params={"known": tags})


def read_media(document: Any, profile: Profile, stored: Stored) -> tuple[ReleaseMedium, ...]:
    """The media of a document without faults."""
    return tuple(_read(item, stored.get(_said(item, profile) or "")) for _, item in media_of(document))


def media_in(media: Sequence[ReleaseMedium], profile: Profile, tag: str) -> tuple[Medium, ...]:
    """The media as readers of this language meet them.

    Words for those who don't see are no use in another language; whom a picture is owed to is told in any.
    """
    return tuple(
        Medium(
            url=profile.absolute(medium.url), type=medium.type, byte_length=medium.byte_length,
            width=medium.width, height=medium.height, title=medium.title.get(tag) or _file_title(medium),
            alt=medium.alt.get(tag), credit=profile.text_in(medium.credit, tag) or None,
        )
        for medium in media
    )


def open_files(release: Release, profile: Profile, token: str) -> Release:
    """With the token of a preview in the address of each uploaded file, in its list and in its texts."""
    key = f"?preview={token}"
    ours = re.compile(rf'="{re.escape(profile.base_url + PATH)}{FILE_NAME.pattern}(?=")')
    return replace(
        release,
        media=tuple(replace(item, url=item.url + key) if item.media_id else item for item in release.media),
        editions=tuple(replace(each, body_html=ours.sub(rf"\g<0>{key}", each.body_html)) for each in release.editions),
    )


def _file_title(medium: ReleaseMedium) -> str | None:
    """A file must be called something; an image is seen."""
    if is_image(medium.type):
        return None
    return medium.name or PurePosixPath(urlsplit(medium.url).path).name or medium.url


def _said(item: Mapping[str, Any], profile: Profile) -> str | None:
    """How the item names an uploaded file, if it does: by its id, or by our own address of it."""
    named, url = item.get("media"), item.get("url")
    if isinstance(named, str) and _ID.fullmatch(named):
        return named
    return url if isinstance(url, str) and url.startswith(profile.base_url + PATH) else None


def _texts(item: Mapping[str, Any], member: str) -> Mapping[str, str]:
    texts = item.get(member)
    return texts if isinstance(texts, dict) else {}


def _find_contradictions(number: int, item: Mapping[str, Any], stored: StoredMedium) -> Iterator[Fault]:
    for member in _KNOWN:
        right = getattr(stored, member)
        if member in item and right is not None and item[member] != right:
            pointer = json_pointer("media", number, member)
            yield Fault(pointer=pointer, code="contradicts_upload", params={"right": right})


def _read(item: Mapping[str, Any], stored: StoredMedium | None) -> ReleaseMedium:
    known: dict[str, Any] = {name: getattr(stored, name, None) or item.get(name) for name in _KNOWN}
    # JSON Schema takes 3.0 for a whole number, and so do we.
    known = {name: int(value) if isinstance(value, float) else value for name, value in known.items()}
    texts: dict[str, Any] = {
        member: {tag: text.single_line(words) for tag, words in _texts(item, member).items()} for member in TEXTS
    }
    return ReleaseMedium(
        url=PATH + stored.file_name if stored else item["url"], media_id=stored.id if stored else None,
        name=stored.name if stored else None, **known, **texts,
    )
