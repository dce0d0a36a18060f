"""What a feed is and which documents it is served as. Nothing here touches the database."""

from __future__ import annotations

import gzip
import hashlib
import html
import logging
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from service.config import VERSION, Language, Profile
from service.formats import FORMATS, render, render_all
from service.messages import say, ui_language
from service.model import Category, Document, Edition, Entry, Feed, Related, Release, Withdrawal
from service.release_media import media_in
from service.tombstones import make_tombstone

log = logging.getLogger(__name__)

SECOND = timedelta(seconds=1)
# Constant for ever: archives are cut by it, and a cut archive never changes its size.
ARCHIVE_ENTRIES = 25
# JSON Feed 1.1 asks for less than 250 KB in all, and every reader fetches all entries for a single new one.
LONGEST_BODY_BYTES = 64 * 1024
ARCHIVE_FORMATS = ("atom", "json")

_FEED_NAMESPACE = uuid.UUID("6f2f9a52-6b6c-5f0e-9d51-3d0f0c1c7a11")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What one feed shows: live ``releases`` in order, ``withdrawn`` ones with their instants and, in
    ``withdrawals``, with what is known of them.

    ``category`` is empty for the feed of all releases. ``archives`` counts the archives that are complete, from
    the oldest; ``archive`` is the number of this one if it is an archive itself, else None. Texts are ``whole`` also
    where they are very long.
    """

    category: str
    language: Language
    releases: Sequence[Release]
    withdrawn: Sequence[tuple[uuid.UUID, datetime]] = ()
    withdrawals: Mapping[uuid.UUID, Withdrawal] = field(default_factory=dict)
    updated: datetime
    archives: int = 0
    archive: int | None = None
    whole: bool = False


def render_documents(
    profile: Profile, listings: Sequence[Listing]
) -> tuple[dict[str, tuple[str, bytes]], set[uuid.UUID]]:
    """Path to media type and bytes for every listing and format, and the releases that had to be left out.

    A release that breaks one format in one language is left out of all, so that no feed shows it
    without the others.
    """
    try:
        return _render_all(profile, listings), set()
    except Exception:
        log.warning("a feed can't be rendered: looking for the release that breaks it", exc_info=True)
    suspects = {release.id: release for listing in listings for release in listing.releases}.values()
    broken = {release.id for release in suspects if not _renders(profile, release)}
    sound = [
        replace(listing, releases=[release for release in listing.releases if release.id not in broken])
        for listing in listings
    ]
    return _render_all(profile, sound), broken


def render_archive(profile: Profile, listing: Listing, format: str, modified: datetime) -> Document:
    """One archive document as it is served; its bytes change only with the releases in it (RFC 5005 section 4)."""
    body = render(make_feed(profile, listing), format)
    return make_document(archive_path(listing, format), FORMATS[format], body, modified)


def swap_documents(
    rendered: Mapping[str, tuple[str, bytes]], current: Iterable[Document], second: datetime
) -> list[Document]:
    """The documents whose bytes changed; `second`, later than any before, becomes their Last-Modified."""
    before = {document.path: document.body for document in current}
    return [
        make_document(path, media_type, body, second)
        for path, (media_type, body) in rendered.items() if before.get(path) != body
    ]


def make_document(path: str, media_type: str, body: bytes, modified: datetime) -> Document:
    """With both forms of its bytes, and tags that are made of nothing but these."""
    packed = gzip.compress(body, compresslevel=9, mtime=0)
    digest = hashlib.sha256(body).hexdigest()[:32]
    return Document(
        path=path, media_type=media_type, body=body, gzip_body=packed,
        etag=digest, gzip_etag=f"{digest}-gz", last_modified=modified,
    )


def wait_seconds(last_swap: datetime | None, now: datetime) -> float:
    """How long until a swap may follow the last one.

    Last-Modified counts whole seconds (RFC 9110 section 8.8.2) and must be neither the same for
    other bytes nor later than the clock, so no two swaps share a second.
    """
    if last_swap is None:
        return 0.0
    remaining = (last_swap + SECOND - now).total_seconds()
    # More than a second means that the clock was set back, which must not hold news up.
    return remaining if 0 < remaining <= 1 else 0.0


def digest_of(profile: Profile) -> str:
    """Changes whenever all feeds must be rendered anew though no release changed."""
    return hashlib.sha256(f"{VERSION}\n{profile!r}".encode()).hexdigest()


def feed_path(language: Language, category: str, format: str) -> str:
    return f"/feeds/{language.url_name}/{category}.{format}" if category else f"/feeds/{language.url_name}.{format}"


def list_topics(profile: Profile) -> dict[str, tuple[Language, str]]:
    """The path of each document that can be subscribed to, and the language and category that it is of."""
    return {
        feed_path(language, category, name): (language, category)
        for language in profile.languages for category in ("", *profile.categories) for name in FORMATS
    }


def advertise(profile: Profile, documents: Iterable[Document]) -> list[Document]:
    """The documents, feeds among them with the Link header that leads to the hub (W3C WebSub section 4)."""
    topics = list_topics(profile)
    return [
        replace(document, link=_link(profile, document.path)) if document.path in topics else document
        for document in documents
    ]


def _link(profile: Profile, path: str) -> str:
    return f'<{profile.hub_url}>; rel="hub", <{profile.base_url}{path}>; rel="self"'


def archive_path(listing: Listing, format: str) -> str:
    feed = "/".join(filter(None, (listing.language.url_name, listing.category)))
    return f"/feeds/{feed}/archive/{listing.archive}.{format}"


def make_feed(profile: Profile, listing: Listing) -> Feed:
    """The listing as an Atom feed would have it; an archive has the id of the feed that it belongs to."""
    language, category = listing.language, listing.category
    address = profile.feed_address(language, category)
    siblings = () if listing.archive else tuple(other for other in profile.languages if other is not language)
    older = listing.archives if listing.archive is None else listing.archive - 1
    return Feed(
        id=_feed_id(profile, language, category),
        language=language.tag,
        title=feed_title(profile, language, category),
        subtitle=profile.text_in(profile.description, language.tag),
        address=f"{address}/archive/{listing.archive}" if listing.archive else address,
        page_url=profile.list_url(language),
        author_name=profile.text_in(profile.name, language.tag),
        author_email=profile.contact_email,
        icon_url=profile.icon,
        # An archive is no topic.
        hub_url=None if listing.archive else profile.hub_url,
        updated=listing.updated,
        related=tuple(Related(other.tag, profile.feed_address(other, category)) for other in siblings),
        entries=tuple(
            _entry(profile, language, release, edition, listing.whole)
            for release in listing.releases if (edition := release.edition(language.tag))
        ),
        tombstones=tuple(
            make_tombstone(profile, language.tag, entry_id(id, language.tag), when, listing.withdrawals.get(id))
            for id, when in listing.withdrawn
        ),
        prev_archive=f"{address}/archive/{older}" if older else None,
        current=address if listing.archive else None,
        style_url=f"{profile.base_url}/static/feed.css",
    )


def feed_title(profile: Profile, language: Language, category: str) -> str:
    """The newsroom's name, and the category's where there is one."""
    newsroom = profile.text_in(profile.name, language.tag)
    return f"{newsroom} – {category_name(profile, language.tag, category)}" if category else newsroom


def category_name(profile: Profile, tag: str, term: str) -> str:
    return profile.text_in(profile.categories.get(term, {}), tag) or term


def entry_id(release_id: uuid.UUID, language: str) -> str:
    """One id for each release and language, the same in all formats, for ever (RFC 4287 section 4.2.6)."""
    return uuid.uuid5(release_id, language).urn


def content_html(edition: Edition, page_url: str, *, whole: bool = False) -> str:
    """Dateline and body, or instead of a very long body its summary and the way to it, unless it is to be whole."""
    body = edition.body_html
    if len(body.encode()) > LONGEST_BODY_BYTES and not whole:
        words = say(ui_language(edition.language), "feed.whole_text")
        link = f'<a href="{html.escape(page_url)}">{words}</a>'
        body = f"<p>{html.escape(edition.summary, quote=False)}</p>\n<p>{link}</p>"
    return f"<p>{html.escape(edition.dateline, quote=False)}</p>\n{body}" if edition.dateline else body


def _render_all(profile: Profile, listings: Sequence[Listing]) -> dict[str, tuple[str, bytes]]:
    return {
        feed_path(listing.language, listing.category, name): (FORMATS[name], body)
        for listing in listings
        for name, body in render_all(make_feed(profile, listing)).items()
    }


def _renders(profile: Profile, release: Release) -> bool:
    alone = [
        Listing(category="", language=language, releases=[release], updated=release.updated_at)
        for language in profile.languages
    ]
    try:
        _render_all(profile, alone)
    except Exception:
        log.exception("release %s can't be rendered and is set aside", release.id)
        return False
    return True


def _feed_id(profile: Profile, language: Language, category: str) -> str:
    name = "\n".join(filter(None, (profile.id, language.tag, category)))
    return uuid.uuid5(_FEED_NAMESPACE, name).urn


def _entry(profile: Profile, language: Language, release: Release, edition: Edition, whole: bool) -> Entry:
    siblings = (other for other in profile.languages if other is not language and release.edition(other.tag))
    url = profile.page_url(language, release.slug)
    return Entry(
        id=entry_id(release.id, language.tag),
        language=language.tag,
        title=edition.headline,
        summary=edition.summary,
        content_html=content_html(edition, url, whole=whole),
        url=url,
        published=release.published_at or release.updated_at,
        updated=release.updated_in(language.tag),
        related=tuple(Related(other.tag, profile.page_url(other, release.slug)) for other in siblings),
        categories=tuple(Category(term, category_name(profile, language.tag, term)) for term in release.categories),
        media=media_in(release.media, profile, language.tag),
    )
