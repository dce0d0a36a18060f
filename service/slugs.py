"""Names for pages: given by staff, or made from the first headline that has Latin letters."""

from __future__ import annotations

import uuid

import regex
from slugify import slugify

from service.model import Draft

LONGEST = 80


def make_slug(draft: Draft, release_id: uuid.UUID) -> str:
    """ASCII words joined by hyphens; the release's id where no headline yields one."""
    headlines = (edition.headline for edition in reversed(draft.editions))
    made = (slugify(headline, max_length=LONGEST, word_boundary=True) for headline in headlines if _has_latin(headline))
    return next((slug for slug in made if slug), "") or f"release-{release_id.hex[-12:]}"


def extend_slug(slug: str, release_id: uuid.UUID) -> str:
    """Another slug for a release whose first choice is taken."""
    return f"{slug}-{release_id.hex[-8:]}"


def _has_latin(text: str) -> bool:
    return regex.search(r"\p{Latin}{3}", text) is not None
