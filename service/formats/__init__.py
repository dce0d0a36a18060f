"""Feed -> bytes, pure: the bytes of a document depend on its Feed and on nothing else."""

from __future__ import annotations

from service.formats.checks import require_renderable
from service.formats.jsonfeed import render_json
from service.formats.notation import FORMATS
from service.formats.syndication import render_atom, render_rss
from service.model import Feed

__all__ = ["FORMATS", "render", "render_all"]

_RENDERERS = {"atom": render_atom, "rss": render_rss, "json": render_json}


def render(feed: Feed, format: str) -> bytes:
    """One document in UTF-8; ``format`` is a key of FORMATS.

    What one format can't carry is refused in all of them: Unrenderable with the ``entry_id`` of the entry
    at fault, ValueError for a fault of the feed itself or a time without an offset.
    """
    require_renderable(feed)
    return _RENDERERS[format](feed)


def render_all(feed: Feed) -> dict[str, bytes]:
    """The document in each format, by its name. Raises as `render` does."""
    require_renderable(feed)
    return {name: renderer(feed) for name, renderer in _RENDERERS.items()}
