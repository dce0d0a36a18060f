"""The documents that hold what the current feed no longer does (RFC 5005 section 4), drawn when they are asked for."""

from __future__ import annotations

from service.config import Language, Profile
from service.feeds import ARCHIVE_ENTRIES, ARCHIVE_FORMATS, Listing, render_archive
from service.model import Document
from service.storage import Storage, releases
from service.storage import feeds as stored


def find_archive(
    storage: Storage, profile: Profile, language: Language, number: int, format: str, drawn: Document | None = None
) -> tuple[int, Document] | None:
    """Archive `number`, counted from the oldest, 1, and the generation that was out when it was drawn.

    None while it isn't complete or where there is no such format. It is the same bytes until a release in it is
    corrected or withdrawn, whatever is published meanwhile; so ``drawn``, if that is still it, is returned again.
    """
    last = number * ARCHIVE_ENTRIES
    first = last - ARCHIVE_ENTRIES + 1
    with storage.read() as tx:
        generation = stored.find_generation(tx)
        if format not in ARCHIVE_FORMATS or number < 1 or generation is None or generation.position < last:
            return None
        # No two swaps share a second, so this is as good as comparing bytes.
        modified = max(filter(None, (generation.redrawn_at, releases.find_last_change(tx, first, last))))
        if drawn and drawn.last_modified == modified:
            return generation.number, drawn
        held = releases.list_positions(tx, first, last)
    listing = Listing(
        category="", language=language, archive=number,
        releases=[release for release in held if not release.withdrawn_at and not release.set_aside_at],
        withdrawn=[
            (release.id, release.withdrawn_at) for release in held
            if release.withdrawn_at and release.edition(language.tag)
        ],
        withdrawals={release.id: release.withdrawal for release in held if release.withdrawal},
        updated=max((release.updated_in(language.tag) for release in held), default=generation.published_at),
    )
    return generation.number, render_archive(profile, listing, format, modified)
