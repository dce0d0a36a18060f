"""Which entries a feed has, and which documents it is served as. Nothing here touches the database."""

from __future__ import annotations

import gzip
import hashlib
import html
import logging
import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from service.config import VERSION, Language, Profile
from service.formats import FORMATS, render
from service.model import Category, Document, Edition, Entry, Feed, Related, Release
from service.release_media import media_in

log = logging.getLogger(__name__)

SECOND = timedelta(seconds=1)

_FEED_NAMESPACE = uuid.UUID("6f2f9a52-6b6c-5f0e-9d51-3d0f0c1c7a11")


def render_documents(
    profile: Profile, public: Sequence[Release], updated: datetime
) -> tuple[dict[str, tuple[str, bytes]], set[uuid.UUID]]:
    """Path to media type and bytes for every language and format, and the releases that had to be left out.

    ``public`` is newest first; feeds show the first `profile.feed_entries` of them. A release that
    breaks one format in one language is left out of all, so that no feed shows it without the others.
    """
    try:
        return _render_all(profile, public[:profile.feed_entries], updated), set()
    except Exception:
        log.warning("a feed can't be rendered: looking for the release that breaks it", exc_info=True)
    broken = {release.id for release in public if not _renders(profile, release, updated)}
    sound = [release for release in public if release.id not in broken]
    return _render_all(profile, sound[:profile.feed_entries], updated), broken


def swap_documents(
    rendered: Mapping[str, tuple[str, bytes]], current: Iterable[Document], now: datetime
) -> list[Document]:
    """The documents whose bytes changed, each with a Last-Modified later than the one it had."""
    before = {document.path: document for document in current}
    changed = []
    for path, (media_type, body) in rendered.items():
        old = before.get(path)
        if old is None or old.body != body:
            modified = now.replace(microsecond=0)
            modified = max(modified, old.last_modified + SECOND) if old else modified
            changed.append(_document(path, media_type, body, modified))
    return changed


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


def _render_all(profile: Profile, public: Sequence[Release], updated: datetime) -> dict[str, tuple[str, bytes]]:
    return {
        f"/feeds/{language.url_name}.{name}": (media_type, render(feed, name))
        for language in profile.languages
        for feed in [_feed(profile, language, public, updated)]
        for name, media_type in FORMATS.items()
    }


def _renders(profile: Profile, release: Release, updated: datetime) -> bool:
    try:
        _render_all(profile, [release], updated)
    except Exception:
        log.exception("release %s can't be rendered and is set aside", release.id)
        return False
    return True


def _document(path: str, media_type: str, body: bytes, modified: datetime) -> Document:
    packed = gzip.compress(body, compresslevel=9, mtime=0)
    digest = hashlib.sha256(body).hexdigest()[:32]
    return Document(
        path=path, media_type=media_type, body=body, gzip_body=packed,
        etag=digest, gzip_etag=f"{digest}-gz", last_modified=modified,
    )


def _feed(profile: Profile, language: Language, public: Sequence[Release], updated: datetime) -> Feed:
    siblings = tuple(other for other in profile.languages if other is not language)
    entries = tuple(
        _entry(profile, language, release, edition)
        for release in public if (edition := release.edition(language.tag))
    )
    return Feed(
        id=uuid.uuid5(_FEED_NAMESPACE, f"{profile.id}\n{language.tag}").urn,
        language=language.tag,
        title=profile.text_in(profile.name, language.tag),
        subtitle=profile.text_in(profile.description, language.tag),
        address=profile.feed_address(language),
        page_url=profile.list_url(language),
        author_name=profile.text_in(profile.name, language.tag),
        author_email=profile.contact_email,
        icon_url=profile.icon,
        updated=max((entry.updated for entry in entries), default=updated),
        related=tuple(Related(other.tag, profile.feed_address(other)) for other in siblings),
        entries=entries,
    )


def _entry(profile: Profile, language: Language, release: Release, edition: Edition) -> Entry:
    siblings = (other for other in profile.languages if other is not language and release.edition(other.tag))
    return Entry(
        id=entry_id(release.id, language.tag),
        language=language.tag,
        title=edition.headline,
        summary=edition.summary,
        content_html=content_html(edition),
        url=profile.page_url(language, release.slug),
        published=release.published_at or release.updated_at,
        updated=release.updated_at,
        related=tuple(Related(other.tag, profile.page_url(other, release.slug)) for other in siblings),
        categories=tuple(
            Category(term, profile.text_in(profile.categories.get(term, {}), language.tag) or term)
            for term in release.categories
        ),
        media=media_in(release.media, profile, language.tag),
    )


def entry_id(release_id: uuid.UUID, language: str) -> str:
    """One id for each release and language, the same in all formats, for ever (RFC 4287 section 4.2.6)."""
    return uuid.uuid5(release_id, language).urn


def content_html(edition: Edition) -> str:
    if not edition.dateline:
        return edition.body_html
    return f"<p>{html.escape(edition.dateline, quote=False)}</p>\n{edition.body_html}"
