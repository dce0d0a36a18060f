"""How records look outside, as JSON: the shapes that `schemas/*-view.schema.json` describe."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from service.config import Profile, script_of
from service.model import ApiKey, Delivery, Edition, Release, Subscription, Warning
from service.storage.deliveries import message_id
from service.text import count_characters, count_words


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
        "editions": {edition.language: _view_edition(edition, release, profile) for edition in release.editions},
        "warnings": [
            {"pointer": warning.pointer, "code": warning.code, "detail": explain(warning)}
            | ({"suggestion": warning.suggestion} if warning.suggestion else {})
            for warning in release.warnings
        ],
        "set_aside_at": iso(release.set_aside_at),
    }


def _view_edition(edition: Edition, release: Release, profile: Profile) -> dict[str, Any]:
    return {
        "headline": edition.headline,
        "summary": edition.summary,
        "dateline": edition.dateline,
        "body_text": edition.body_text,
        "body_html": edition.body_html,
        "length": {
            "characters": count_characters(edition.body_text),
            "words": count_words(edition.body_text, script_of(edition.language)),
        },
        "url": _page_url(profile, edition.language, release.slug),
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
