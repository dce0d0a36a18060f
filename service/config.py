"""The environment, read once, and the newsroom profile that it names."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import langcodes

from service.errors import ConfigurationError, Fault
from service.mail import MailServer, read_mail_server
from service.messages import UiLanguage, say, ui_language
from service.networks import AllowedNetworks
from service.schema_faults import find_schema_faults, json_pointer
from service.text import strip_non_xml
from service.variables import read_admin_key, read_database_url, read_redis_url, read_secret_keys

VERSION = "0.1.0"
DEFAULT_PORT = 8080
DEFAULT_BODY_LIMIT = 1024 * 1024
DEFAULT_MEDIA_LIMIT = 20 * 1024 * 1024
DEFAULT_FEED_ENTRIES = 25
DEFAULT_TIME_ZONE = "UTC"


@functools.cache
def script_of(tag: str) -> str:
    """ISO 15924 code, taken from the tag's likely subtags: `en` is `Latn`."""
    return langcodes.Language.get(tag).maximize().script or "Zyyy"


@dataclass(frozen=True, slots=True)
class Language:
    """One language of the newsroom: its BCP 47 ``tag``, and how it stands in URLs and on pages."""

    tag: str
    url_name: str
    name: str

    @property
    def script(self) -> str:
        return script_of(self.tag)


@dataclass(frozen=True, slots=True)
class Profile:
    """The newsroom, as its JSON file says. Texts are by language tag, feeds by language and category as in URLs."""

    id: str
    base_url: str
    name: Mapping[str, str]
    description: Mapping[str, str]
    languages: tuple[Language, ...]
    categories: Mapping[str, Mapping[str, str]]
    contact_email: str | None
    icon: str | None
    feed_entries: int
    retired_feeds: tuple[str, ...] = ()
    renamed_feeds: Mapping[str, str] = field(default_factory=dict)
    time_zone: str = DEFAULT_TIME_ZONE

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

    def preview_url(self, language: Language, token: str) -> str:
        return f"{self.base_url}/{language.url_name}/previews/{token}"

    def list_url(self, language: Language) -> str:
        return f"{self.base_url}/{language.url_name}/"

    def feeds_url(self, language: Language) -> str:
        """The page that explains the feeds and lists them."""
        return f"{self.base_url}/{language.url_name}/feeds/"

    def feed_address(self, language: Language, category: str = "") -> str:
        """The URL of the language's feed, of one category or of all, less the extension of its format."""
        address = f"{self.base_url}/feeds/{language.url_name}"
        return f"{address}/{category}" if category else address

    @property
    def hub_url(self) -> str:
        """Where feeds are subscribed to by WebSub."""
        return f"{self.base_url}/hub"

    def absolute(self, url: str) -> str:
        """An absolute URL as it is, a path under the newsroom's address."""
        return f"{self.base_url}{url}" if url.startswith("/") else url


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All that the environment decides. An absent URL means the embedded part."""

    port: int
    data_dir: Path
    profile_path: Path
    database_url: str = field(repr=False)
    redis_url: str | None = field(repr=False)
    admin_key: str | None = field(repr=False)
    secret_keys: tuple[str, ...] = field(repr=False)
    allowed_networks: AllowedNetworks
    max_body_bytes: int
    max_media_bytes: int
    mail: MailServer | None

    @property
    def media_dir(self) -> Path:
        return self.data_dir / "media"


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
        secret_keys=read_secret_keys(environ),
        allowed_networks=AllowedNetworks.parse(environ.get("DIGLOT_ALLOW_NETWORKS", "")),
        max_body_bytes=_whole_number(environ, "DIGLOT_MAX_BODY_BYTES", DEFAULT_BODY_LIMIT, most=2**31),
        max_media_bytes=_whole_number(environ, "DIGLOT_MAX_MEDIA_BYTES", DEFAULT_MEDIA_LIMIT, most=2**31),
        mail=read_mail_server(environ),
    )


def load_profile(path: Path) -> Profile:
    """Raises ConfigurationError with one line for each fault of the file, in the language of the environment."""
    speech = operator_language()
    try:
        document = json.loads(path.read_text("utf-8-sig"))
    except FileNotFoundError:
        raise ConfigurationError(reason=say(speech, "profile.missing", path=path)) from None
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigurationError(reason=say(speech, "profile.unreadable", path=path, error=error)) from None
    faults = find_schema_faults("newsroom", document) + list(_find_profile_faults(document))
    if faults:
        told = (f"  {f.pointer or '/'}: {say(speech, f'fault.{f.code}', **f.params)}" for f in faults)
        # What breaks two rules of one place is told once where both have the same sentence.
        lines = [say(speech, "profile.invalid", path=path), *dict.fromkeys(told)]
        raise ConfigurationError(reason="\n".join(lines))
    return _profile(document)


def operator_language(environ: Mapping[str, str] = os.environ) -> UiLanguage:
    """Whoever starts the service reads the language of its locale (POSIX, section 8.2)."""
    names = ("LC_ALL", "LC_MESSAGES", "LANG")
    locale = next((environ[name] for name in names if environ.get(name)), "en")
    return ui_language(locale.partition(".")[0].partition("@")[0].replace("_", "-"))


def _find_profile_faults(document: Any) -> Iterator[Fault]:
    """What no schema can say, of a document that may break its schema anywhere."""
    languages = _member(document, "languages")
    seen: set[str] = set()
    for tag in languages:
        url_name = _member(languages, tag).get("url_name")
        if isinstance(url_name, str) and url_name in seen | RESERVED_URL_NAMES:
            yield Fault(pointer=json_pointer("languages", tag, "url_name"), code="url_name_taken")
        seen.add(str(url_name))
    categories = _member(document, "categories")
    named: dict[tuple[str, ...], Any] = {("name",): _member(document, "name"), **{
        ("categories", term): _member(categories, term) for term in categories
    }}
    for place, names in named.items():
        for tag in languages:
            if names and tag not in names:
                yield Fault(pointer=json_pointer(*place, tag), code="missing", params={"name": tag})
    yield from _find_feed_faults(_member(document, "feeds"), seen, categories)


def _find_feed_faults(
    feeds: Mapping[str, Any], url_names: Iterable[str], categories: Iterable[str]
) -> Iterator[Fault]:
    """A feed that there is can be neither retired nor renamed, and a new name must be that of one."""
    live = {*url_names, *(f"{name}/{term}" for name in url_names for term in categories)}
    renamed, retired = _member(feeds, "renamed"), feeds.get("retired")
    for at, name in enumerate(map(str, retired) if isinstance(retired, list) else ()):
        if name in live:
            yield Fault(pointer=json_pointer("feeds", "retired", at), code="feed_is_live")
        elif name in renamed:
            yield Fault(pointer=json_pointer("feeds", "retired", at), code="retired_and_renamed")
    for name, new in renamed.items():
        pointer = json_pointer("feeds", "renamed", name)
        if name in live:
            yield Fault(pointer=pointer, code="feed_is_live")
        if isinstance(new, str) and new not in live:
            yield Fault(pointer=pointer, code="no_such_feed")


def _member(node: Any, name: str) -> Mapping[str, Any]:
    """The object that stands there, else an empty one."""
    value = node.get(name) if isinstance(node, dict) else None
    return value if isinstance(value, dict) else {}


# First parts of paths that the service itself answers.
RESERVED_URL_NAMES = frozenset({
    "v1", "feeds", "docs", "static", "problems", "healthz", "readyz", "hub", "media", "sitemaps", "unsubscribe",
})


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
        retired_feeds=tuple(document.get("feeds", {}).get("retired", ())),
        renamed_feeds=document.get("feeds", {}).get("renamed", {}),
        time_zone=document.get("time_zone", DEFAULT_TIME_ZONE),
    )


def _whole_number(environ: Mapping[str, str], name: str, default: int, *, most: int) -> int:
    text = environ.get(name) or str(default)
    if not text.isascii() or not text.isdecimal() or not 0 < int(text[:11]) <= most:
        raise ConfigurationError(reason=f"{name} must be a whole number from 1 to {most}, not {text!r}")
    return int(text)
