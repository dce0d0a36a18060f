"""Which editions a correction leaves behind."""

from __future__ import annotations

import pytest

from service.model import Draft, Edition
from service.siblings import StaleSiblings, find_left_behind
from tests.factories import published


def edition(language: str, headline: str) -> Edition:
    return Edition(language=language, headline=headline, summary="s", body_text="b", body_html="<p>b</p>")


def draft(**headlines: str) -> Draft:
    return Draft(editions=tuple(edition(language, headline) for language, headline in headlines.items()))


@pytest.mark.parametrize(("before", "after", "left_behind"), [
    ({"zh": "1", "en": "1"}, {"zh": "1", "en": "1"}, ()),
    ({"zh": "1", "en": "1"}, {"zh": "2", "en": "2"}, ()),
    ({"zh": "1", "en": "1"}, {"zh": "2", "en": "1"}, ("en",)),
    ({"zh": "1", "en": "1", "fr": "1"}, {"zh": "1", "en": "2", "fr": "1"}, ("zh", "fr")),
    ({"zh": "1", "en": "1"}, {"zh": "1", "en": "1", "fr": "1"}, ()),
    ({"zh": "1", "en": "1"}, {"zh": "2", "en": "1", "fr": "1"}, ("en",)),
    ({"zh": "1"}, {"zh": "2"}, ()),
])
def test_an_edition_that_stays_while_another_changes_is_left_behind(
    before: dict[str, str], after: dict[str, str], left_behind: tuple[str, ...]
) -> None:
    assert find_left_behind(published(draft(**before)), draft(**after)) == left_behind


def test_each_language_that_is_left_behind_has_its_place() -> None:
    error = StaleSiblings(["zh-Hans", "en"])
    assert [fault.pointer for fault in error.faults] == ["/editions/zh-Hans", "/editions/en"]
