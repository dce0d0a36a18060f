"""The newsroom's pages: plain records in, HTML out. Nothing here knows who asks, or how."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Sequence
from datetime import datetime
from html import escape
from typing import Any

from service.config import Language, Profile
from service.directory import list_feeds
from service.messages import UiLanguage, say, ui_language
from service.model import Category, Edition, Medium, Release, Revision
from service.previews import Preview
from service.receipts import Receiver, Totals
from service.release_media import media_in, open_files
from service.text import paragraphs, single_line
from service.web.frame import Place, link_formats, render
from service.web.notes import name_languages, tell, tell_corrections

# No attribute that was let in holds a bare angle bracket.
_WIDE = re.compile(r"(<(?:table|pre)\b[^<>]*>|</(?:table|pre)>)")


def render_list(
    profile: Profile, language: Language, items: Sequence[tuple[Release, Edition]], older_url: str | None,
    query: str = "",
) -> str:
    """One page of public releases, newest first; `older_url` leads to the next one.

    `query` is the page's own, which shows the same releases in every language.
    """
    places = [Place(other, profile.list_url(other) + query) for other in profile.languages]
    return render("list.html", profile, language, places, items=items, older_url=older_url)


def render_feeds(profile: Profile, language: Language) -> str:
    """What a feed is, how one subscribes, and every feed of this language."""
    places = [Place(other, profile.feeds_url(other)) for other in profile.languages]
    catalogue = [(listed, list(link_formats(listed))) for listed in list_feeds(profile, language)]
    return render("feeds.html", profile, language, places, catalogue=catalogue)


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
    return render(
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
    return render(
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
    return render(
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
    return render("problem.html", profile, language, [], title=title, text=text)


def render_unsubscribing(profile: Profile, state: str) -> str:
    """`ask`, `done` or `unknown`, said in every language of ours that the newsroom has."""
    spoken = dict.fromkeys(ui_language(language.tag) for language in profile.languages)
    sentences = [(functools.partial(say, words), words) for words in spoken]
    return render("unsubscribing.html", profile, profile.languages[0], [], state=state, sentences=sentences)


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
