"""The documents that hold what the current feed no longer does (RFC 5005 section 4), drawn when they are asked for."""

from __future__ import annotations

from service.config import Language, Profile
from service.feeds import ARCHIVE_ENTRIES, ARCHIVE_FORMATS, Listing, render_archive
from service.model import Document
from service.storage import Storage, releases
from service.storage import feeds as stored


def find_archive(
    storage: Storage, profile: Profile, language: Language, number: int, format: str
) -> Document | None:
    """Archive `number`, counted from the oldest, 1; None while it isn't complete or where there is no such format.

    It is the same bytes until a release in it is corrected or withdrawn, whatever is published meanwhile.
    """
    last = number * ARCHIVE_ENTRIES
    with storage.read() as tx:
        generation = stored.find_generation(tx)
        if format not in ARCHIVE_FORMATS or number < 1 or generation is None or generation.position < last:
            return None
        held = releases.list_positions(tx, last - ARCHIVE_ENTRIES + 1, last)
    listing = Listing(
        category="", language=language, archive=number,
        releases=[release for release in held if not release.withdrawn_at and not release.set_aside_at],
        withdrawn=[
            (release.id, release.withdrawn_at) for release in held
            if release.withdrawn_at and release.edition(language.tag)
        ],
        updated=max((release.updated_at for release in held), default=generation.published_at),
    )
    moments = [release.modified_at for release in held if release.modified_at]
    return render_archive(profile, listing, format, max(generation.redrawn_at, *moments))
