"""What a page tells of corrections: in its own language, or else in another that is then named. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from service.config import Language, Profile
from service.model import Revision


@dataclass(frozen=True, slots=True)
class Correction:
    """``tag`` is the language of ``note``; ``unaffected`` are those of the editions that were left as they were."""

    at: datetime
    note: str
    tag: str
    unaffected: tuple[str, ...]


def tell(profile: Profile, texts: Mapping[str, str], language: Language) -> tuple[str, str]:
    """The text in this language, else in another one, and the tag of the language that it is in."""
    if language.tag in texts:
        return texts[language.tag], language.tag
    text = profile.text_in(texts, language.tag)
    return text, next((tag for tag in texts if texts[tag] == text), language.tag)


def tell_corrections(profile: Profile, revisions: Sequence[Revision], language: Language) -> Iterator[Correction]:
    """Those that concern readers of this language: on the page of an edition that was left alone nothing changed.

    What staff told them in their own language they are told all the same.
    """
    for revision in revisions:
        release = revision.release
        note, tag = tell(profile, release.change_note, language)
        if tag == language.tag or language.tag not in release.unaffected:
            others = tuple(other for other in release.unaffected if other != language.tag)
            yield Correction(revision.created_at, note, tag, others)


def name_languages(profile: Profile) -> dict[str, str]:
    return {language.tag: language.name for language in profile.languages}
