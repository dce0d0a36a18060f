"""What staff, partners and readers are shown of releases."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from typing import Any

from service.config import Profile, script_of
from service.diffs import EditionDiff
from service.model import (
    AuditEntry,
    Edition,
    Pass,
    Release,
    ReleaseMedium,
    Revision,
    StoredMedium,
    Warning,
    Withdrawal,
)
from service.notes import notes_by_language
from service.release_media import PATH
from service.text import count_characters, count_words
from service.views.instants import iso


def view_release(
    release: Release, profile: Profile, explain: Callable[[Warning], str] = lambda warning: warning.code
) -> dict[str, Any]:
    """As staff see it. `explain` says a warning in the caller's language."""
    return {
        **_identify(release),
        "publish_at": iso(release.publish_at),
        "published_at": iso(release.published_at),
        "withdrawn_at": iso(release.withdrawn_at),
        "created_at": iso(release.created_at),
        "updated_at": iso(release.updated_at),
        **_content(release, release.languages, profile),
        "change_note": dict(release.change_note),
        "unaffected": list(release.unaffected),
        "withdrawal": _view_withdrawal(release.withdrawal),
        "warnings": _view_warnings(release, explain),
        "set_aside_at": iso(release.set_aside_at),
    }


def view_public_release(
    release: Release, languages: Sequence[str], profile: Profile, *, is_correction: bool
) -> dict[str, Any]:
    """As a partner gets it: in the languages that were ordered, without what is the newsroom's own."""
    return {
        **_identify(release),
        # The state that was accepted last may be ahead of the one that is told of.
        "state": "corrected" if is_correction else "published",
        "published_at": iso(release.published_at),
        "updated_at": iso(release.updated_at),
        "languages": list(languages),
        **_content(release, languages, profile),
        # Of a revision that nobody outside has seen there is nothing to note.
        "change_note": notes_by_language(release) if is_correction else {},
    }


def view_withdrawal(release: Release, languages: Sequence[str], profile: Profile) -> dict[str, Any]:
    """As a partner is told: what it was, why it is gone, nothing of its text."""
    return {
        **_identify(release),
        "published_at": iso(release.published_at),
        "withdrawn_at": iso(release.withdrawn_at),
        "withdrawal": {
            **(_view_withdrawal(release.withdrawal) or {}),
            "successor_urls": list_successor_urls(release.withdrawal, profile),
        },
        "languages": list(languages),
        "editions": {
            language: {"url": _page_url(profile, language, release.slug)} for language in languages
        },
    }


def list_successor_urls(withdrawal: Withdrawal | None, profile: Profile) -> dict[str, str]:
    """By language, the pages of the release that stands in the place of a withdrawn one."""
    if withdrawal is None or withdrawal.successor_slug is None:
        return {}
    pages = {tag: _page_url(profile, tag, withdrawal.successor_slug) for tag in withdrawal.successor_languages}
    return {tag: url for tag, url in pages.items() if url}


def _identify(release: Release) -> dict[str, Any]:
    return {
        "id": str(release.id),
        "slug": release.slug,
        "revision": release.revision,
        "state": release.state.value,
    }


def _content(release: Release, languages: Sequence[str], profile: Profile) -> dict[str, Any]:
    return {
        "authoritative_language": release.authoritative_language,
        "categories": list(release.categories),
        "contacts": [dict(contact) for contact in release.contacts],
        "editions": {
            edition.language: _view_edition(edition, release, profile)
            for edition in release.editions if edition.language in languages
        },
        "media": [view_release_medium(medium, profile, languages) for medium in release.media],
    }


def _view_withdrawal(withdrawal: Withdrawal | None) -> dict[str, Any] | None:
    if withdrawal is None:
        return None
    successor = withdrawal.superseded_by
    return {"reason": dict(withdrawal.reason), "superseded_by": str(successor) if successor else None}


def _view_warnings(release: Release, explain: Callable[[Warning], str]) -> list[dict[str, Any]]:
    return [
        {"pointer": warning.pointer, "code": warning.code, "detail": explain(warning)}
        | ({"suggestion": warning.suggestion} if warning.suggestion else {})
        for warning in release.warnings
    ]


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


def view_revision(
    revision: Revision, profile: Profile, explain: Callable[[Warning], str]
) -> dict[str, Any]:
    """What was said at one revision, whatever became of the release."""
    release = revision.release
    return {
        "number": revision.number,
        "created_at": iso(revision.created_at),
        **_content(release, release.languages, profile),
        "change_note": dict(release.change_note),
        "unaffected": list(release.unaffected),
        "warnings": _view_warnings(release, explain),
    }


def view_preview(release: Release, shown_by: Pass, profile: Profile) -> dict[str, Any]:
    """Where each edition can be looked at, until when."""
    languages = (profile.find_language(tag) for tag in release.languages)
    return {
        "revision": shown_by.revision,
        "expires_at": iso(shown_by.expires_at),
        "urls": {known.tag: profile.preview_url(known, shown_by.token) for known in languages if known},
    }


def view_diff(diffs: Sequence[EditionDiff]) -> dict[str, Any]:
    """Language tag to what changed there."""
    return {
        diff.language: {
            "change": diff.change,
            "fields": {
                name: [{"op": step.op.value, "text": step.text} for step in steps]
                for name, steps in diff.fields.items()
            },
        }
        for diff in diffs
    }


def view_audit_entry(entry: AuditEntry) -> dict[str, Any]:
    return {
        "id": str(entry.id),
        "at": iso(entry.at),
        "action": entry.action,
        "release_id": str(entry.release_id) if entry.release_id else None,
        "revision": entry.revision,
        "actor": entry.actor,
        "key_id": str(entry.key_id) if entry.key_id else None,
        "details": dict(entry.details),
    }
