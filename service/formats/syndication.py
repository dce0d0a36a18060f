"""Atom (RFC 4287) and RSS 2.0 with the RSS Advisory Board's profile, by feedgen."""

from __future__ import annotations

from functools import partial
from html import escape

from feedgen.entry import FeedEntry
from feedgen.feed import FeedGenerator

from service.formats.extension import EntryExtension, FeedExtension, page_link
from service.formats.mediarss import MediaRssEntryExtension, MediaRssExtension
from service.model import Entry, Feed

# Some aggregators wait max(ttl, max-age), so the hint stays as short as it can be: one minute.
_TTL_MINUTES = 1


def render_atom(feed: Feed) -> bytes:
    return _generator(feed).atom_str(pretty=True)


def render_rss(feed: Feed) -> bytes:
    return _generator(feed).rss_str(pretty=True)


def _generator(feed: Feed) -> FeedGenerator:
    generator = FeedGenerator()
    # Atom names authors in an element of its own; the namespace would be declared there for nothing.
    generator.load_extension("dc", atom=False)
    generator.register_extension("diglot", partial(FeedExtension, feed))
    if any(entry.media for entry in feed.entries):
        generator.register_extension("mediarss", MediaRssExtension, atom=False)
    _describe(generator, feed)
    _credit(generator, feed)
    for entry in feed.entries:
        # feedgen's default turns the order round.
        generated = generator.add_entry(_bare_entry(entry), order="append")
        _fill(generated, entry)
        generated.dc.dc_creator(feed.author_name)
    return generator


def _describe(generator: FeedGenerator, feed: Feed) -> None:
    generator.id(feed.id)
    generator.title(feed.title)
    generator.subtitle(feed.subtitle)
    generator.language(feed.language)
    generator.updated(feed.updated)
    # RSS takes the last link of any kind for the channel's own, so this is the only one feedgen is given.
    generator.link(page_link("alternate", feed.language) | {"href": feed.page_url})
    generator.generator("Diglot")
    generator.ttl(_TTL_MINUTES)
    # Atom alone: an RSS image may be 144 pixels wide at most, and nobody tells us how wide this one is.
    generator.icon(feed.icon_url)


def _credit(generator: FeedGenerator, feed: Feed) -> None:
    """RSS 2.0 has ``managingEditor`` only for an address, ``dc:creator`` for a name; never both (profile)."""
    if feed.author_email is None:
        generator.author(name=feed.author_name)
        generator.dc.dc_creator(feed.author_name)
    else:
        generator.author(name=feed.author_name, email=feed.author_email)
        generator.managingEditor(f"{feed.author_email} ({feed.author_name})")


def _bare_entry(entry: Entry) -> FeedEntry:
    # Registered here and not with the generator, which would make every entry's extension without its entry.
    bare = FeedEntry()
    bare.register_extension("diglot", partial(EntryExtension, entry))
    bare.register_extension("mediarss", partial(MediaRssEntryExtension, entry), atom=False)
    return bare


def _fill(generated: FeedEntry, entry: Entry) -> None:
    generated.id(entry.id)
    generated.title(entry.title)
    generated.link(href=entry.url)
    generated.published(entry.published)
    generated.updated(entry.updated)
    # RSS readers take a description for HTML, Atom's summary says that it is text. The order matters:
    # description() first, for it also sets Atom's content, and summary() sets an RSS description still unset.
    generated.description(escape(entry.summary, quote=False))
    generated.summary(entry.summary, type="text")
    generated.content(entry.content_html, type="html")
    generated.category([{"term": category.term, "label": category.label} for category in entry.categories])
