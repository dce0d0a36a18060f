"""Records as the core would have made them."""

from __future__ import annotations

from datetime import UTC, datetime

from service.clock import new_id
from service.model import Draft, Release, ReleaseState
from service.slugs import make_slug


def published(draft: Draft, at: datetime = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)) -> Release:
    """The draft as a public release."""
    release_id = new_id()
    return Release(
        id=release_id, slug=draft.slug or make_slug(draft, release_id), revision=1, state=ReleaseState.PUBLISHED,
        editions=draft.editions, created_at=at, updated_at=at, published_at=at, categories=draft.categories,
        media=draft.media,
    )
