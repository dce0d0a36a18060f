"""Whether a correction carries all editions of a release, or leaves some behind. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from service.errors import Conflict, Fault
from service.model import Draft, Release
from service.schema_faults import json_pointer


class StaleSiblings(Conflict):
    """A correction changes some editions and leaves ``languages`` as they were."""

    code = "stale_siblings"

    def __init__(self, languages: Sequence[str]) -> None:
        super().__init__(languages=list(languages))
        self.faults = tuple(
            Fault(pointer=json_pointer("editions", language), code="left_behind", params={"language": language})
            for language in languages
        )


def find_left_behind(before: Release, draft: Draft) -> tuple[str, ...]:
    """Languages whose edition stays as it was although another one, which readers knew, changes.

    A new edition leaves nobody behind: what the others say is still true.
    """
    known = [edition for edition in draft.editions if before.edition(edition.language)]
    same = tuple(edition.language for edition in known if edition == before.edition(edition.language))
    return same if len(same) < len(known) else ()
