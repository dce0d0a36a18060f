"""The documents that hold what the current feed no longer does (RFC 5005 section 4), drawn when they are asked for."""

from __future__ import annotations

from service.config import Language, Profile
from service.feeds import ARCHIVE_ENTRIES, ARCHIVE_FORMATS, Listing, render_archive
from service.model import Document
from service.storage import Storage, Transaction, slots
from service.storage import feeds as stored
from service.storage.feeds import Generation
from service.storage.listings import ALL


def find_archive(
    storage: Storage, profile: Profile, language: Language, number: int, format: str, drawn: Document | None = None,
    *, category: str = ALL,
) -> tuple[int, Document] | None:
    """Archive `number`, counted from the oldest, 1, and the generation that was out when it was drawn.

    None while it isn't complete or where there is no such format or category. It is the same bytes until a release
    in it is corrected or withdrawn, whatever is published meanwhile; so ``drawn``, if that is still it, is returned
    again.
    """
    last = number * ARCHIVE_ENTRIES
    first = last - ARCHIVE_ENTRIES + 1
    with storage.read() as tx:
        generation = stored.find_generation(tx)
        if format not in ARCHIVE_FORMATS or number < 1 or generation is None:
            return None
        if _find_last_number(tx, profile, category, generation) < last:
            return None
        # No two swaps share a second, so this is as good as comparing bytes.
        modified = max(filter(None, (generation.redrawn_at, slots.find_last_change(tx, category, first, last))))
        if drawn and drawn.last_modified == modified:
            return generation.number, drawn
        shown = slots.list_slots(tx, category, first, last)
    held = [slot.release for slot in shown if not slot.left_at]
    # Whatever becomes of a release that left the category, it changed this archive when it left.
    moments = [slot.left_at or slot.release.updated_in(language.tag) for slot in shown]
    listing = Listing(
        category=category, language=language, archive=number,
        releases=[release for release in held if not release.withdrawn_at and not release.set_aside_at],
        withdrawn=[
            (release.id, release.withdrawn_at) for release in held
            if release.withdrawn_at and release.edition(language.tag)
        ],
        withdrawals={release.id: release.withdrawal for release in held if release.withdrawal},
        updated=max(moments, default=modified),
    )
    return generation.number, render_archive(profile, listing, format, modified)


def _find_last_number(tx: Transaction, profile: Profile, category: str, generation: Generation) -> int:
    if category == ALL:
        return generation.position
    return slots.find_last_numbers(tx, {category} & set(profile.categories)).get(category, 0)
