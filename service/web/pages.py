"""The newsroom's pages: plain records in, HTML out. Nothing here knows who asks, or how."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Any
from urllib.parse import quote, urlsplit
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_skeleton, get_timezone_name
from babel.units import format_unit
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from service.config import Language, Profile, script_of
from service.directory import ListedFeed, list_feeds, opml_path
from service.formats import FORMATS
from service.formats.notation import document_url
from service.formats.opml import OPML
from service.messages import UiLanguage, say, ui_language
from service.model import Category, Edition, Medium, Release, Revision
from service.previews import Preview
from service.receipts import Receiver, Totals
from service.release_media import PATH as MEDIA_PATH
from service.release_media import media_in, open_files
from service.text import paragraphs, single_line
from service.views import iso
from service.web.notes import name_languages, tell, tell_corrections

# No attribute that was let in holds a bare angle bracket.
_WIDE = re.compile(r"(<(?:table|pre)\b[^<>]*>|</(?:table|pre)>)")
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


def render_list(
    profile: Profile, language: Language, items: Sequence[tuple[Release, Edition]], older_url: str | None,
    query: str = "",
) -> str:
    """One page of public releases, newest first; `older_url` leads to the next one.

    `query` is the page's own, which shows the same releases in every language.
    """
    places = [Place(other, profile.list_url(other) + query) for other in profile.languages]
    return _render("list.html", profile, language, places, items=items, older_url=older_url)


def render_feeds(profile: Profile, language: Language) -> str:
    """What a feed is, how one subscribes, and every feed of this language."""
    places = [Place(other, profile.feeds_url(other)) for other in profile.languages]
    catalogue = [(listed, list(_formats(listed))) for listed in list_feeds(profile, language)]
    return _render("feeds.html", profile, language, places, catalogue=catalogue)


def render_release(
    profile: Profile, language: Language, release: Release, edition: Edition, corrections: Sequence[Revision] = ()
) -> str:
    """`edition` is the release's edition in `language`; its `body_html` is trusted and goes in as it is."""
    return _render_release("release.html", profile, language, _places(profile, release), release, edition, corrections)


def render_preview(profile: Profile, language: Language, preview: Preview) -> str:
    """The same page, with a banner and with the addresses that the pass opens. The release has the language."""
    token = preview.shown_by.token
    release = open_files(preview.release, profile, token)
    edition = release.edition(language.tag)
    assert edition
    places = [Place(other, profile.preview_url(other, token)) for other in _languages(profile, release)]
    return _render_release(
        "preview.html", profile, language, places, release, edition, preview.corrections, preview=preview
    )


def _render_release(
    template: str, profile: Profile, language: Language, places: Sequence[Place], release: Release, edition: Edition,
    corrections: Sequence[Revision], **more: Any,
) -> str:
    authoritative = next((p for p in places if p.language.tag == release.authoritative_language), None)
    return _render(
        template, profile, language, places, release=release, edition=edition,
        updated_at=release.updated_in(language.tag),
        lead=_lead(edition), body=_body(edition, functools.partial(say, ui_language(language.tag))),
        authoritative=authoritative, categories=_categories(profile, language, release),
        corrections=list(tell_corrections(profile, corrections, language)), names=name_languages(profile),
        media=_media(profile, language, release), **more,
    )


def render_withdrawn(
    profile: Profile, language: Language, release: Release, successor: Release | None
) -> str:
    """That the release is gone, when and why; nothing of its text."""
    reason, reason_language = tell(profile, release.withdrawal.reason if release.withdrawal else {}, language)
    return _render(
        "withdrawn.html", profile, language, _places(profile, release), release=release,
        reason=reason, reason_language=reason_language, names=name_languages(profile),
        successors=_places(profile, successor) if successor else [],
    )


def render_receipts(
    profile: Profile, words: UiLanguage, release: Release, now: datetime, receivers: Sequence[Receiver],
    totals: Totals, next_url: str | None,
) -> str:
    """Who was sent what, to print and to file."""
    language = next(
        (known for known in profile.languages if ui_language(known.tag) == words), profile.languages[0]
    )
    headlines = [(edition.language, edition.headline) for edition in release.editions]
    names = {known.tag: known.name for known in profile.languages}
    return _render(
        "receipts.html", profile, language, [], release=release, now=now, receivers=receivers,
        headlines=headlines, names=names, totals=totals, next_url=next_url,
    )


def _places(profile: Profile, release: Release) -> list[Place]:
    return [Place(other, profile.page_url(other, release.slug)) for other in _languages(profile, release)]


def _languages(profile: Profile, release: Release) -> list[Language]:
    return [language for language in profile.languages if release.edition(language.tag)]


def render_not_found(profile: Profile, language: Language) -> str:
    words = ui_language(language.tag)
    return render_problem(
        profile, language, say(words, "page.not_found.title"), say(words, "page.not_found.text")
    )


def render_problem(profile: Profile, language: Language, title: str, text: str) -> str:
    """What went wrong and what to do, in plain text. No search engine keeps the page."""
    return _render("problem.html", profile, language, [], title=title, text=text)


def render_unsubscribing(profile: Profile, state: str) -> str:
    """`ask`, `done` or `unknown`, said in every language of ours that the newsroom has."""
    spoken = dict.fromkeys(ui_language(language.tag) for language in profile.languages)
    sentences = [(functools.partial(say, words), words) for words in spoken]
    return _render("unsubscribing.html", profile, profile.languages[0], [], state=state, sentences=sentences)


def _render(
    template: str, profile: Profile, language: Language, places: Sequence[Place], **parts: Any
) -> str:
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


def _formats(listed: ListedFeed) -> Iterator[FeedLink]:
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


def _lead(edition: Edition) -> str | None:
    """The summary, unless it only repeats how a paragraph begins."""
    start = edition.summary.removesuffix("…")
    is_repeated = any(single_line(part).startswith(start) for part in paragraphs(edition.body_text))
    return None if is_repeated else edition.summary


def _body(edition: Edition, words: Any) -> str:
    """With tables and preformatted text in regions that scroll, and that the keyboard reaches (WCAG 2.1.1)."""
    numbers = {"table": itertools.count(1), "pre": itertools.count(1)}
    pieces, depth = [], 0
    for piece in _WIDE.split(edition.body_html):
        is_end = piece in ("</table>", "</pre>")
        if not is_end and _WIDE.fullmatch(piece):
            if not depth:
                name = "table" if piece.startswith("<table") else "pre"
                label = escape(words(f"page.{name}", number=next(numbers[name])))
                pieces.append(f'<div class="wide" role="region" tabindex="0" aria-label="{label}">')
            depth += 1
        pieces.append(piece)
        if is_end:
            depth -= 1
            pieces += [] if depth else ["</div>"]
    return "".join(pieces)


def _media(profile: Profile, language: Language, release: Release) -> list[tuple[Medium, str]]:
    """Each as it is told in this language, and the language of its credit, which may be another."""
    told = media_in(release.media, profile, language.tag)
    return [
        (medium, tell(profile, kept.credit, language)[1]) for medium, kept in zip(told, release.media, strict=True)
    ]


def _categories(profile: Profile, language: Language, release: Release) -> list[Category]:
    return [
        Category(term, profile.text_in(profile.categories.get(term, {}), language.tag) or term)
        for term in release.categories
    ]


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
    return urlsplit(url).path


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
