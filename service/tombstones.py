"""What an entry leaves behind in Atom when its release is withdrawn (RFC 6721). Pure."""

from __future__ import annotations

from datetime import datetime

from service.config import Profile
from service.messages import find_language, say
from service.model import Related, Tombstone, Withdrawal
from service.text import excerpt, join_remarks, strip_non_xml
from service.views import list_successor_urls


def make_tombstone(profile: Profile, tag: str, ref: str, when: datetime, withdrawal: Withdrawal | None) -> Tombstone:
    """With why, as far as it can be said in this language, and the way to what took the release's place.

    The way leads to the page in this language, or where there is none to those in the others.
    """
    pages = list_successor_urls(withdrawal, profile)
    nearest = {tag: pages[tag]} if tag in pages else pages
    return Tombstone(
        ref, when, language=tag, comment=_comment(tag, withdrawal) if withdrawal else "",
        successors=tuple(Related(*page) for page in nearest.items()),
    )


def _comment(tag: str, withdrawal: Withdrawal) -> str:
    # A feed holds many of them, and every reader fetches them all.
    reason = excerpt(strip_non_xml(withdrawal.reason.get(tag, ""))[0])
    words = find_language(tag) if withdrawal.superseded_by else None
    return join_remarks([*filter(None, [reason]), *([say(words, "feed.superseded")] if words else [])], tag)
