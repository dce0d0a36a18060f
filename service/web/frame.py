"""What all pages have in common: where they are in each language, the feeds, and how a moment or a size is said."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlsplit
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_skeleton, get_timezone_name
from babel.units import format_unit
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from service.config import Language, Profile, script_of
from service.directory import ListedFeed, opml_path
from service.formats import FORMATS
from service.formats.notation import document_url
from service.formats.opml import OPML
from service.messages import UiLanguage, say, ui_language
from service.release_media import PATH as MEDIA_PATH
from service.views import iso
from service.web.notes import tell

# What our own sentences are written in.
_WORDS_TAGS: Mapping[UiLanguage, str] = {"zh": "zh-Hans", "en": "en"}
_FORMAT_NAMES = {"atom": "Atom", "rss": "RSS", "json": "JSON Feed"}


@dataclass(frozen=True, slots=True)
class Place:
    """The page's address in one language. ``url`` is absolute."""

    language: Language
    url: str


@dataclass(frozen=True, slots=True)
class FeedLink:
    url: str
    media_type: str
    format_name: str
    title: str
    language: Language


def render(
    template: str, profile: Profile, language: Language, places: Sequence[Place], **parts: Any
) -> str:
    """The template within the frame. ``places`` are the page's own addresses, none where it has no siblings."""
    locale = _locale(language.tag)
    words = functools.partial(say, ui_language(language.tag))
    mark = _mark_words(language)
    description, description_language = tell(profile, profile.description, language)
    zone = ZoneInfo(profile.time_zone)
    others = places or [Place(other, profile.list_url(other)) for other in profile.languages]
    return _environment().get_template(template).render(
        profile=profile,
        language=language,
        newsroom=profile.text_in(profile.name, language.tag),
        description=description,
        description_language=description_language,
        direction="rtl" if locale.text_direction == "rtl" else "ltr",
        places=places,
        siblings=[place for place in others if place.language != language],
        feeds=list(_feeds(profile, language)),
        lists=list(_lists(profile, language)),
        # For titles and attributes, which hold no element.
        say_plainly=words,
        say=lambda key, **params: mark(words(key, **params)),
        mark=mark,
        moment=functools.partial(_moment, locale, zone, words),
        date=functools.partial(_date, locale, zone),
        size=functools.partial(_size, locale),
        local=functools.partial(_local, profile),
        **parts,
    )


def _mark_words(language: Language) -> Callable[[str], str]:
    """Our own words, said to be in their language where no sentences of ours are in the page's (WCAG 3.1.2)."""
    words = _WORDS_TAGS[ui_language(language.tag)]
    if (language.tag.partition("-")[0], language.script) == (words.partition("-")[0], script_of(words)):
        return str
    return functools.partial(Markup('<span lang="{}" dir="ltr">{}</span>').format, words)


def _feeds(profile: Profile, language: Language) -> Iterator[FeedLink]:
    """The page's own language first: readers such as Liferea take the first feed that they meet."""
    for other in sorted(profile.languages, key=lambda candidate: candidate != language):
        for name, media_type in FORMATS.items():
            title = say(
                ui_language(other.tag), "page.feed_title", name=profile.text_in(profile.name, other.tag),
                language=other.name, format=_FORMAT_NAMES[name],
            )
            url = f"{profile.feed_address(other)}.{name}"
            yield FeedLink(url, media_type, _FORMAT_NAMES[name], title, other)


def link_formats(listed: ListedFeed) -> Iterator[FeedLink]:
    """One feed, in each format."""
    for name, media_type in FORMATS.items():
        yield FeedLink(
            document_url(listed.address, name), media_type, _FORMAT_NAMES[name], listed.title, listed.language
        )


def _lists(profile: Profile, language: Language) -> Iterator[FeedLink]:
    """The feeds of the page's language, and those of all, each as one file to import."""
    words = ui_language(language.tag)
    names = {opml_path(language): language.name, opml_path(): say(words, "page.feeds.every_language")}
    for path, name in names.items():
        yield FeedLink(profile.base_url + path, OPML, "OPML", say(words, "page.feeds.list", name=name), language)


def _moment(locale: Locale, zone: ZoneInfo, words: Any, instant: datetime) -> str:
    time = format_skeleton("Hm", instant, tzinfo=zone, locale=locale)
    name = get_timezone_name(instant.astimezone(zone), locale=locale)
    return words("page.moment", date=_date(locale, zone, instant), time=time, zone=name)


def _date(locale: Locale, zone: ZoneInfo, instant: datetime) -> str:
    return format_date(instant.astimezone(zone), "long", locale=locale)


def _size(locale: Locale, byte_length: int) -> str:
    """In the unit that leaves one to three digits before the point."""
    power = min(2, (len(str(byte_length)) - 1) // 3)
    number, unit = round(byte_length / 1000**power, 1 if power else None), ("byte", "kilobyte", "megabyte")[power]
    return format_unit(number, f"digital-{unit}", length="short", locale=locale)


def _local(profile: Profile, url: str) -> str:
    """Our own media at whatever host the reader came to, others where they are."""
    is_ours = url.startswith(profile.base_url + MEDIA_PATH)
    return urlsplit(url)._replace(scheme="", netloc="").geturl() if is_ours else url


def _locale(tag: str) -> Locale:
    try:
        return Locale.parse(tag, sep="-")
    except (ValueError, UnknownLocaleError):
        return Locale("en")


def _path(url: str) -> str:
    """Links within the newsroom work at whatever host the reader came to."""
    return urlsplit(url)._replace(scheme="", netloc="").geturl()


@functools.cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("service.web"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )
    environment.filters |= {
        "path": _path,
        "iso": iso,
        # RFC 6068 and RFC 3966: nothing of an address or number may begin a new part of the URI.
        "mailto": lambda address: "mailto:" + quote(address, safe="@"),
        "tel": lambda number: "tel:" + "".join(sign for sign in number if sign in "+0123456789"),
    }
    return environment
