"""What an event is sent as, in each format: a function of what went public, whoever receives it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from service.config import Language, Profile, script_of
from service.feeds import Listing, category_name, entry_id, make_feed
from service.formats import FORMATS, atomentry, ninjs, render
from service.model import (
    Event,
    EventType,
    Format,
    LanguageChoice,
    Order,
    Payload,
    Release,
    Subscription,
    Variant,
)
from service.notes import notes_in
from service.release_media import media_in
from service.text import count_characters, count_words
from service.tombstones import make_tombstone
from service.views import iso, list_successor_urls, view_public_release, view_withdrawal


def choose_variant(event: Event, order: Order, release: Release) -> Variant:
    """In the ordered languages that there are, or all where none is left, in the release's order.

    A withdrawal concerns every edition, also one that is no longer ordered.
    """
    if event.type is EventType.RELEASE_WITHDRAWN:
        return Variant(order.format, release.languages)
    chosen = [language for language in order.languages if release.edition(language)] or list(release.languages)
    if order.language_choice is LanguageChoice.FIRST_AVAILABLE:
        chosen = chosen[:1]
    return Variant(order.format, tuple(language for language in release.languages if language in chosen))


def make_payload(event: Event, release: Release, variant: Variant, profile: Profile) -> Payload:
    """The release with the editions of the variant, or that it was withdrawn."""
    return _MAKERS[variant.format](event, release, variant.languages, profile)


def test_payload(event: Event, subscription: Subscription) -> Payload:
    """The same in all formats: there is no release to show."""
    data = {"subscription": {"id": str(subscription.id), "partner": subscription.partner}}
    return Payload("application/json", _body(event, data))


def release_body(event: Event, release: Release, languages: Sequence[str], profile: Profile) -> bytes:
    """Our own JSON, as `schemas/push.schema.json` has it."""
    if event.type is EventType.RELEASE_WITHDRAWN:
        return _body(event, {"release": view_withdrawal(release, languages, profile)})
    is_correction = event.type is EventType.RELEASE_CORRECTED
    view = view_public_release(release, languages, profile, is_correction=is_correction)
    return _body(event, {"release": view})


def _make_diglot(event: Event, release: Release, languages: Sequence[str], profile: Profile) -> Payload:
    return Payload("application/json", release_body(event, release, languages, profile))


def _make_ninjs(event: Event, release: Release, languages: Sequence[str], profile: Profile) -> Payload:
    make = _gone_item if event.type is EventType.RELEASE_WITHDRAWN else _news_item
    items = [make(event, release, language, profile) for language in languages]
    return Payload(ninjs.MEDIA_TYPE, ninjs.render_items(items))


def _make_atom(event: Event, release: Release, languages: Sequence[str], profile: Profile) -> Payload:
    """Gone, a release is told of as feeds do, with a tombstone for each language (RFC 6721)."""
    # A newsroom that has given a language up since still owes what it published in it.
    language = profile.find_language(languages[0]) or Language(*[languages[0]] * 3)
    if event.type is not EventType.RELEASE_WITHDRAWN:
        updated = release.updated_in(language.tag)
        listing = Listing(category="", language=language, releases=[release], updated=updated, whole=True)
        return Payload(atomentry.MEDIA_TYPE, atomentry.render_entry(make_feed(profile, listing)))
    gone_at = release.withdrawn_at or event.created_at
    feed = make_feed(profile, Listing(category="", language=language, releases=[], updated=gone_at))
    tombstones = tuple(
        make_tombstone(profile, tag, entry_id(release.id, tag), gone_at, release.withdrawal) for tag in languages
    )
    return Payload(f"{FORMATS['atom']};type=feed", render(replace(feed, tombstones=tombstones), "atom"))


_MAKERS: Mapping[Format, Callable[[Event, Release, Sequence[str], Profile], Payload]] = {
    Format.DIGLOT: _make_diglot,
    Format.NINJS: _make_ninjs,
    Format.ATOM: _make_atom,
}


def _news_item(event: Event, release: Release, tag: str, profile: Profile) -> ninjs.NewsItem:
    edition = release.edition(tag)
    assert edition
    # Of a revision that nobody outside has seen there is nothing to note.
    note = notes_in(release, tag, profile) if event.type is EventType.RELEASE_CORRECTED else ""
    return replace(
        _bare_item(release, tag, profile, note), headline=edition.headline, summary=edition.summary,
        dateline=edition.dateline, text=edition.body_text, html=edition.body_html,
        characters=count_characters(edition.body_text), words=count_words(edition.body_text, script_of(tag)),
        media=media_in(release.media, profile, tag),
    )


def _gone_item(event: Event, release: Release, tag: str, profile: Profile) -> ninjs.NewsItem:
    reason = release.withdrawal.reason if release.withdrawal else {}
    gone_at = release.withdrawn_at or event.created_at
    return replace(
        _bare_item(release, tag, profile, profile.text_in(reason, tag)), updated=gone_at, is_canceled=True,
        successor_url=list_successor_urls(release.withdrawal, profile).get(tag),
    )


def _bare_item(release: Release, tag: str, profile: Profile, note: str) -> ninjs.NewsItem:
    language = profile.find_language(tag)
    return ninjs.NewsItem(
        id=entry_id(release.id, tag), release_id=release.id.urn, revision=release.revision, language=tag,
        slug=release.slug, published=release.published_at or release.updated_at, updated=release.updated_at,
        publisher=profile.text_in(profile.name, tag), note=note,
        page_url=profile.page_url(language, release.slug) if language else None,
        categories={term: category_name(profile, tag, term) for term in release.categories},
    )


def _body(event: Event, data: Mapping[str, Any]) -> bytes:
    message = {"type": event.type.value, "timestamp": iso(event.created_at), "data": data}
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()
