"""The environment, read once, and the newsroom profile that it names."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import langcodes

from service.errors import ConfigurationError, Fault
from service.networks import AllowedNetworks
from service.schema_faults import find_schema_faults, json_pointer
from service.text import strip_non_xml
from service.variables import read_admin_key, read_database_url, read_redis_url

VERSION = "0.1.0"
DEFAULT_PORT = 8080
DEFAULT_BODY_LIMIT = 1024 * 1024
DEFAULT_FEED_ENTRIES = 25


@dataclass(frozen=True, slots=True)
class Language:
    """One language of the newsroom: its BCP 47 ``tag``, and how it stands in URLs and on pages."""

    tag: str
    url_name: str
    name: str

    @property
    def script(self) -> str:
        """ISO 15924 code, taken from the tag's likely subtags: `en` is `Latn`."""
        return langcodes.Language.get(self.tag).maximize().script or "Zyyy"


@dataclass(frozen=True, slots=True)
class Profile:
    """The newsroom, as its JSON file says. Texts are by language tag."""

    id: str
    base_url: str
    name: Mapping[str, str]
    description: Mapping[str, str]
    languages: tuple[Language, ...]
    categories: Mapping[str, Mapping[str, str]]
    contact_email: str | None
    icon: str | None
    feed_entries: int

    def find_language(self, tag: str) -> Language | None:
        return next((language for language in self.languages if language.tag == tag), None)

    def find_language_by_url_name(self, url_name: str) -> Language | None:
        return next((language for language in self.languages if language.url_name == url_name), None)

    def text_in(self, texts: Mapping[str, str], tag: str) -> str:
        """The text in this language, else in the first language that has one, else nothing."""
        order = (tag, *(language.tag for language in self.languages), *texts)
        return next((texts[candidate] for candidate in order if candidate in texts), "")

    def page_url(self, language: Language, slug: str) -> str:
        return f"{self.base_url}/{language.url_name}/releases/{slug}"

    def list_url(self, language: Language) -> str:
        return f"{self.base_url}/{language.url_name}/"

    def feed_address(self, language: Language) -> str:
        """The URL of the language's feed, less the extension of its format."""
        return f"{self.base_url}/feeds/{language.url_name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All that the environment decides. An absent URL means the embedded part."""

    port: int
    data_dir: Path
    profile_path: Path
    database_url: str
    redis_url: str | None = field(repr=False)
    admin_key: str | None = field(repr=False)
    allowed_networks: AllowedNetworks
    max_body_bytes: int


def read_settings(environ: Mapping[str, str] = os.environ) -> Settings:
    """Settings from `DIGLOT_*` variables. Raises ConfigurationError naming a variable that can't be used."""
    data_dir = Path(environ.get("DIGLOT_DATA_DIR") or "data").absolute()
    return Settings(
        port=_whole_number(environ, "DIGLOT_PORT", DEFAULT_PORT, most=65535),
        data_dir=data_dir,
        profile_path=Path(environ.get("DIGLOT_PROFILE") or "newsroom.json").absolute(),
        database_url=read_database_url(environ, data_dir),
        redis_url=read_redis_url(environ),
        admin_key=read_admin_key(environ),
        allowed_networks=AllowedNetworks.parse(environ.get("DIGLOT_ALLOW_NETWORKS", "")),
        max_body_bytes=_whole_number(environ, "DIGLOT_MAX_BODY_BYTES", DEFAULT_BODY_LIMIT, most=2**31),
    )


def load_profile(path: Path) -> Profile:
    """Raises ConfigurationError with one line for each fault of the file."""
    try:
        document = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise ConfigurationError(reason=f"{path} is missing: DIGLOT_PROFILE names the newsroom profile") from None
    except (OSError, ValueError) as error:
        raise ConfigurationError(reason=f"{path} can't be read as JSON: {error}") from None
    faults = find_schema_faults("newsroom", document) or _find_profile_faults(document)
    if faults:
        lines = "\n".join(f"  {f.pointer or '/'}: {f.code} {dict(f.params) or ''}".rstrip() for f in faults)
        raise ConfigurationError(reason=f"{path} is no valid newsroom profile:\n{lines}")
    return _profile(document)


def _find_profile_faults(document: Mapping[str, Any]) -> list[Fault]:
    tags = list(document["languages"])
    faults = [
        Fault(pointer=f"/name/{tag}", code="missing", params={"name": tag})
        for tag in tags if tag not in document["name"]
    ]
    seen: set[str] = set()
    for tag, language in document["languages"].items():
        if language["url_name"] in seen | RESERVED_URL_NAMES:
            faults.append(Fault(pointer=f"/languages/{tag}/url_name", code="url_name_taken"))
        seen.add(language["url_name"])
    for term, names in document.get("categories", {}).items():
        faults += [
            Fault(pointer=f"/categories/{term}/{tag}", code="missing", params={"name": tag})
            for tag in tags if tag not in names
        ]
    return faults


# First parts of paths that the service itself answers.
RESERVED_URL_NAMES = frozenset({"v1", "feeds", "docs", "static", "problems", "healthz", "readyz", "hub", "media"})


def refuse_unprintable(value: Any, *place: str | int) -> None:
    """Raises ConfigurationError for a character that no feed may carry, which else nothing could be published with."""
    if isinstance(value, str) and (lost := strip_non_xml(value)[1]):
        raise ConfigurationError(
            reason=f"{json_pointer(*place)} in the newsroom profile holds characters that no feed may carry: "
            f"{', '.join(lost)}. Please take them out."
        )
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in items:
        refuse_unprintable(item, *place, name)


def _profile(document: Mapping[str, Any]) -> Profile:
    refuse_unprintable(document)
    return Profile(
        id=document["id"],
        base_url=document["base_url"],
        name=document["name"],
        description=document.get("description", {}),
        languages=tuple(Language(tag, **entry) for tag, entry in document["languages"].items()),
        categories=document.get("categories", {}),
        contact_email=document.get("contact", {}).get("email"),
        icon=document.get("icon"),
        feed_entries=document.get("feed_entries", DEFAULT_FEED_ENTRIES),
    )


def _whole_number(environ: Mapping[str, str], name: str, default: int, *, most: int) -> int:
    text = environ.get(name) or str(default)
    if not text.isascii() or not text.isdecimal() or not 0 < int(text) <= most:
        raise ConfigurationError(reason=f"{name} must be a whole number from 1 to {most}, not {text!r}")
    return int(text)
