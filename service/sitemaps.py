"""What search engines are told of: every live page in every language, drawn when it is asked for.

Like archives, sitemaps are cut by the position at which releases went public, so that drawing one costs the
same however many releases there are.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from service.config import Profile
from service.feeds import make_document
from service.formats.sitemap import SITEMAP, Leaf, render_sitemap, render_sitemap_index
from service.model import Document, Related
from service.storage import Storage, Transaction, feeds, listings, releases
from service.storage.listings import Place

INDEX_PATH = "/sitemap.xml"
# The protocol allows 50,000 addresses and 50 MB; each page names each of its languages in each of them.
MOST_RELEASES = 1000
MOST_LINKS = 100_000


def find_index(storage: Storage, profile: Profile) -> Document | None:
    """The list of sitemaps, of which there is always one; None before the newsroom's first swap."""
    with storage.read() as tx:
        generation = feeds.find_generation(tx)
    if generation is None:
        return None
    numbers = range(1, _count(profile, generation.position) + 1)
    body = render_sitemap_index(profile.base_url + sitemap_path(number) for number in numbers)
    return make_document(INDEX_PATH, SITEMAP, body, generation.swapped_at)


def find_sitemap(storage: Storage, profile: Profile, number: int) -> Document | None:
    """Sitemap `number`, counted from the oldest, 1; None where there is none."""
    with storage.read() as tx:
        generation = feeds.find_generation(tx)
        if generation is None or not 1 <= number <= _count(profile, generation.position):
            return None
        last = number * releases_each(profile)
        first = last - releases_each(profile) + 1
        leaves = [*(_lists(profile) if number == 1 else ()), *_pages(tx, profile, first, last)]
        changed_at = releases.find_last_change(tx, first, last) or generation.redrawn_at
    return make_document(
        sitemap_path(number), SITEMAP, render_sitemap(leaves), max(generation.redrawn_at, changed_at)
    )


def sitemap_path(number: int) -> str:
    return f"/sitemaps/{number}.xml"


def releases_each(profile: Profile) -> int:
    """How many releases one sitemap holds: fewer where there are many languages."""
    return max(1, min(MOST_RELEASES, MOST_LINKS // len(profile.languages) ** 2))


def _count(profile: Profile, position: int) -> int:
    return max(1, -(-position // releases_each(profile)))


def _lists(profile: Profile) -> Iterator[Leaf]:
    """So that a newsroom without releases has a valid sitemap too: one address at least."""
    yield Leaf([Related(language.tag, profile.list_url(language)) for language in profile.languages])


def _pages(tx: Transaction, profile: Profile, first: int, last: int) -> Iterator[Leaf]:
    tags = [language.tag for language in profile.languages]
    places = listings.list_places(tx, tags, first, last)
    places.sort(key=lambda place: (place.position, tags.index(place.language)))
    for _, editions in groupby(places, key=lambda place: place.position):
        known = list(editions)
        yield Leaf([_page(profile, place) for place in known], known[0].updated_at)


def _page(profile: Profile, place: Place) -> Related:
    language = profile.find_language(place.language)
    assert language
    return Related(language.tag, profile.page_url(language, place.slug))
