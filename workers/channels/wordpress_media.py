"""A release's pictures in a WordPress site's library, and how a post shows its media."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from workers import context
from workers.channels.wordpress_site import Post, Refused, Site, Steps
from workers.outbound import File


@dataclass(frozen=True, slots=True)
class Picture:
    """``url`` is where readers of the post get it; ``id`` is None where the site has no copy."""

    medium: Mapping[str, Any]
    url: str
    id: int | None = None


def bring_pictures(site: Site, release: Mapping[str, Any], tag: str, post_id: int) -> Steps[list[Picture]]:
    """A copy for each language, for the library keeps one alternative text of a picture."""
    pictures = []
    for medium in release["media"]:
        if medium["type"].startswith("image/"):
            pictures.append((yield from _bring(site, release, tag, post_id, medium)))
    return pictures


def show_media(release: Mapping[str, Any], tag: str, pictures: Sequence[Picture]) -> str:
    """Figures and links as HTML. The first copy is left to the theme, which shows the featured image itself."""
    featured = next((picture for picture in pictures if picture.id), None)
    shown = [_show(picture, tag) for picture in pictures if picture is not featured]
    files = (medium for medium in release["media"] if not medium["type"].startswith("image/"))
    return "\n".join([*shown, *(_link(medium, tag) for medium in files)])


def _bring(
    site: Site, release: Mapping[str, Any], tag: str, post_id: int, medium: Mapping[str, Any]
) -> Steps[Picture]:
    """What the site won't take, and what isn't ours to give, is shown from where it is."""
    elsewhere = Picture(medium, medium["url"])
    if not medium["id"]:
        return elsewhere
    try:
        copy = yield from _ensure_copy(site, release, tag, post_id, medium)
    except Refused as refusal:
        if _may_heal(refusal):
            raise
        return elsewhere
    url = copy.document.get("source_url")
    return Picture(medium, url, copy.id) if isinstance(url, str) else elsewhere


def _ensure_copy(
    site: Site, release: Mapping[str, Any], tag: str, post_id: int, medium: Mapping[str, Any]
) -> Steps[Post]:
    name = f"diglot-{medium['id']}-{release['id'][-12:]}-{tag}".lower()
    title = _text(medium, "title", tag) or release["editions"][tag]["headline"]
    texts = {
        "title": html.escape(title, quote=False),
        "alt_text": _text(medium, "alt", tag),
        "caption": html.escape(_text(medium, "credit", tag), quote=False),
    }
    found = yield from site.find("media", slug=name, _fields="id,status,source_url")
    if found:
        return (yield from site.send(f"wp/v2/media/{found[0].id}", texts))
    stored = PurePosixPath(medium["url"]).name
    file = File(context.settings().media_dir / stored, f"{name}{PurePosixPath(stored).suffix}", medium["type"])
    return (yield from site.upload(file, texts | {"slug": name, "post": str(post_id)}))


def _may_heal(refusal: Refused) -> bool:
    """WordPress answers 500 also to a format that it doesn't know, but then in its own words."""
    status, error = refusal.response.status, refusal.response.error
    if status is None:
        return error != "file_missing"
    is_refusal = (400 <= status < 500 and status != 429) or b'"rest_upload' in refusal.response.body
    return not is_refusal


def _show(picture: Picture, tag: str) -> str:
    words = filter(None, (_text(picture.medium, name, tag) for name in ("title", "credit")))
    caption = html.escape(" · ".join(words))
    image = f'<img src="{html.escape(picture.url)}" alt="{html.escape(_text(picture.medium, "alt", tag))}">'
    return f"<figure>{image}{f'<figcaption>{caption}</figcaption>' if caption else ''}</figure>"


def _link(medium: Mapping[str, Any], tag: str) -> str:
    words = _text(medium, "title", tag) or PurePosixPath(medium["url"]).name
    return f'<p><a href="{html.escape(medium["url"])}">{html.escape(words)}</a></p>'


def _text(medium: Mapping[str, Any], name: str, tag: str) -> str:
    return str(medium[name].get(tag, ""))
