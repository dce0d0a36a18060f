"""How records look outside, as JSON: the shapes that `schemas/*-view.schema.json` describe."""

from __future__ import annotations

from collections.abc import Callable, Container
from datetime import UTC, datetime
from typing import Any

from service.config import Profile
from service.model import ApiKey, Delivery, Release, ReleaseMedium, StoredMedium, Subscription, Warning
from service.release_media import PATH
from service.storage.deliveries import message_id


def iso(instant: datetime | None) -> str | None:
    """RFC 3339 in UTC with milliseconds."""
    if instant is None:
        return None
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def view_release(
    release: Release, profile: Profile, explain: Callable[[Warning], str] = lambda warning: warning.code
) -> dict[str, Any]:
    """`explain` says a warning in the caller's language."""
    return {
        "id": str(release.id),
        "slug": release.slug,
        "revision": release.revision,
        "state": release.state.value,
        "published_at": iso(release.published_at),
        "created_at": iso(release.created_at),
        "updated_at": iso(release.updated_at),
        "authoritative_language": release.authoritative_language,
        "categories": list(release.categories),
        "contacts": [dict(contact) for contact in release.contacts],
        "editions": {
            edition.language: {
                "headline": edition.headline,
                "summary": edition.summary,
                "dateline": edition.dateline,
                "body_text": edition.body_text,
                "body_html": edition.body_html,
                "url": _page_url(profile, edition.language, release.slug),
            }
            for edition in release.editions
        },
        "media": [view_release_medium(medium, profile) for medium in release.media],
        "warnings": [
            {"pointer": warning.pointer, "code": warning.code, "detail": explain(warning)}
            for warning in release.warnings
        ],
        "set_aside_at": iso(release.set_aside_at),
    }


def view_release_medium(
    medium: ReleaseMedium, profile: Profile, tags: Container[str] | None = None
) -> dict[str, Any]:
    """With the texts in these languages alone, where any are given."""
    texts = {
        name: {tag: words for tag, words in getattr(medium, name).items() if tags is None or tag in tags}
        for name in ("title", "alt", "credit")
    }
    return {
        "id": str(medium.media_id) if medium.media_id else None,
        "url": profile.absolute(medium.url),
        "type": medium.type,
        "byte_length": medium.byte_length,
        "width": medium.width,
        "height": medium.height,
        **texts,
    }


def view_medium(medium: StoredMedium, profile: Profile) -> dict[str, Any]:
    return {
        "id": str(medium.id),
        "url": profile.absolute(PATH + medium.file_name),
        "type": medium.type,
        "byte_length": medium.byte_length,
        "width": medium.width,
        "height": medium.height,
        "name": medium.name,
        "created_at": iso(medium.created_at),
    }


def _page_url(profile: Profile, tag: str, slug: str) -> str | None:
    language = profile.find_language(tag)
    return profile.page_url(language, slug) if language else None


def view_subscription(subscription: Subscription) -> dict[str, Any]:
    """Without the secret."""
    return {
        "id": str(subscription.id),
        "partner": subscription.partner,
        "channel": subscription.channel,
        "callback": subscription.callback,
        "languages": list(subscription.languages),
        "categories": list(subscription.categories),
        "state": subscription.state.value,
        "ended_reason": subscription.ended_reason,
        "created_at": iso(subscription.created_at),
    }


def view_delivery(delivery: Delivery) -> dict[str, Any]:
    return {
        "id": str(delivery.id),
        "message_id": message_id(delivery.id),
        "event": delivery.event_type.value,
        "release_id": str(delivery.release_id) if delivery.release_id else None,
        "revision": delivery.revision,
        "subscription_id": str(delivery.subscription_id),
        "partner": delivery.partner,
        "state": delivery.state.value,
        "created_at": iso(delivery.created_at),
        "next_attempt_at": iso(delivery.next_attempt_at),
        "delivered_at": iso(delivery.delivered_at),
        "attempts": [
            {"number": attempt.number, "started_at": iso(attempt.started_at),
             "duration_ms": attempt.duration_ms, "status": attempt.status, "error": attempt.error}
            for attempt in delivery.attempts
        ],
    }


def view_key(key: ApiKey) -> dict[str, Any]:
    """Without the key itself."""
    return {
        "id": str(key.id),
        "name": key.name,
        "role": key.role.value,
        "partner": key.partner,
        "created_at": iso(key.created_at),
        "revoked_at": iso(key.revoked_at),
    }
