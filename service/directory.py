"""Which feeds there are, and what became of those that are no more. Pure: the profile alone decides."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from service.config import Language, Profile
from service.feeds import feed_title
from service.formats.opml import OPML, Outline, render_opml
from service.messages import say, ui_language

# An archive goes where the feed goes that it belongs to, and so does a language's list of feeds.
_FEED_PATH = re.compile(
    r"/feeds/(?P<name>[a-z0-9-]+(?:/[a-z0-9-]+)?)(?P<rest>(?:/archive/[0-9]+)?\.(?:atom|rss|json|opml))"
)


@dataclass(frozen=True, slots=True)
class ListedFeed:
    """A feed as readers choose it. ``address`` lacks the extension of a format; of all releases ``category`` is ""."""

    language: Language
    category: str
    title: str
    address: str


def list_feeds(profile: Profile, language: Language) -> list[ListedFeed]:
    """The feed of all releases, then one for each category."""
    return [
        ListedFeed(
            language, category, feed_title(profile, language, category), profile.feed_address(language, category)
        )
        for category in ("", *profile.categories)
    ]


def opml_path(language: Language | None = None) -> str:
    """Of the list of one language's feeds, or of all."""
    return f"/feeds/{language.url_name}.opml" if language else "/feeds.opml"


def render_lists(profile: Profile) -> Mapping[str, tuple[str, bytes]]:
    """Path to media type and bytes of each list of feeds in OPML."""
    everything = [
        Outline(language.name, _outlines(profile, language)) for language in profile.languages
    ]
    lists = {opml_path(): render_opml(profile.text_in(profile.name, profile.languages[0].tag), everything)}
    for language in profile.languages:
        title = profile.text_in(profile.name, language.tag)
        lists[opml_path(language)] = render_opml(title, _outlines(profile, language))
    return {path: (OPML, body) for path, body in lists.items()}


def find_new_path(profile: Profile, path: str) -> str | None:
    """Where the document of a renamed feed is now, in the same format."""
    match = _FEED_PATH.fullmatch(path)
    name = match and profile.renamed_feeds.get(match["name"])
    return f"/feeds/{name}{match['rest']}" if match and name else None


def is_retired(profile: Profile, path: str) -> bool:
    """Whether this was a document of a feed that will not come back."""
    match = _FEED_PATH.fullmatch(path)
    return match is not None and match["name"] in profile.retired_feeds


def _outlines(profile: Profile, language: Language) -> tuple[Outline, ...]:
    whole, *narrowed = (_outline(profile, listed) for listed in list_feeds(profile, language))
    if not narrowed:
        return (whole,)
    return (whole, Outline(say(ui_language(language.tag), "page.categories"), tuple(narrowed)))


def _outline(profile: Profile, listed: ListedFeed) -> Outline:
    """In Atom alone, the format that tells most; a reader given all three would show each release three times."""
    return Outline(
        listed.title,
        attributes={
            "type": "rss", "xmlUrl": f"{listed.address}.atom", "htmlUrl": profile.list_url(listed.language),
            "language": listed.language.tag,
        },
    )
