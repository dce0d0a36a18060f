"""Names for pages: given by staff, or made from a headline in Latin letters, or from the sound of a Chinese one."""

from __future__ import annotations

import uuid

import regex
from slugify import slugify

from service.han import to_pinyin
from service.model import Draft, Edition
from service.text import weigh_script

LONGEST = 80
_HAN = regex.compile(r"\p{Han}")


def make_slug(draft: Draft, release_id: uuid.UUID) -> str:
    """ASCII words joined by hyphens, cut between words; the release's id where no headline yields one."""
    # Where two rank alike, the newsroom's order decides.
    made = (_slug(edition.headline) for edition in sorted(draft.editions, key=_rank))
    return next((slug for slug in made if slug), "") or f"release-{release_id.hex[-12:]}"


def extend_slug(slug: str, release_id: uuid.UUID) -> str:
    """Another slug for a release whose first choice is taken."""
    return f"{slug}-{release_id.hex[-8:]}"


def _rank(edition: Edition) -> int:
    """English comes first, then other headlines in Latin letters, then Chinese, then what has neither."""
    wanted, all_letters = weigh_script(edition.headline, "Latn")
    if wanted > all_letters / 2:
        return 0 if edition.language.split("-")[0].lower() == "en" else 1
    return 2 if _HAN.search(edition.headline) else 3


def _slug(headline: str) -> str:
    words = " ".join(to_pinyin(headline)) if _HAN.search(headline) else headline
    return slugify(words, max_length=LONGEST, word_boundary=True, save_order=True)
