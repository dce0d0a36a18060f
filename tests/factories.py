"""Records as the core would have made them."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from service import keys
from service.clock import new_id
from service.config import Profile
from service.feeds import Listing, render_documents
from service.model import ApiKey, Draft, Release, ReleaseState, Role
from service.slugs import make_slug
from service.storage import Storage

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def make_desk(storage: Storage) -> ApiKey:
    """A member of staff, who may do what the core is asked to."""
    return keys.make_key(storage, "desk", Role.STAFF, NOON)[0]


def rendered(profile: Profile, release: Release) -> tuple[dict[str, tuple[str, bytes]], set[UUID]]:
    """The release alone in the feed of each language, as `render_documents` gives it."""
    return render_documents(profile, [
        Listing(category="", language=language, releases=[release], updated=release.updated_at)
        for language in profile.languages
    ])


def published(draft: Draft, at: datetime = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)) -> Release:
    """The draft as a public release."""
    release_id = new_id()
    return Release(
        id=release_id, slug=draft.slug or make_slug(draft, release_id), revision=1, state=ReleaseState.PUBLISHED,
        editions=draft.editions, created_at=at, updated_at=at, published_at=at, categories=draft.categories,
        media=draft.media,
    )
