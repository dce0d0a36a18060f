"""WordPress: one post for each language, drafted first, with its pictures, and then all published.

Whatever is made bears a name that holds our ids, and is looked for by it before it is made: neither a repeat nor a
courier that died half way makes a second. The site's own editors may move a post or put it away; it is left so.
"""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import langcodes

from service.model import Claim
from workers.channels.wordpress_media import Picture, bring_pictures, show_media
from workers.channels.wordpress_site import Post, Refused, Site, Steps
from workers.outbound import Response

# Every state in which an editor may have left our post. What WordPress calls "any" leaves out the trash.
_STATES = "publish,future,draft,pending,private,trash"
_FURTHEST_LANGUAGE = 10


def post(claim: Claim, now: datetime) -> Steps[Response]:
    """Judged by the site's last answer, or the first that isn't the one that was hoped for."""
    site, message = Site(claim), json.loads(claim.body)
    try:
        # To a stranger the site answers later questions with a complaint of their form.
        yield from site.get("wp/v2/users/me", context="edit", _fields="id")
        if message["type"] == "release.withdrawn":
            yield from _trash(site, message["data"]["release"])
        elif message["type"] != "subscription.test":
            release = message["data"]["release"]
            posts = yield from _publish(site, release, claim.settings.get("categories_map", {}))
            if message["type"] == "release.corrected":
                yield from _trash_others(site, release, posts)
    except Refused as refusal:
        return refusal.response
    return site.answer


def _publish(site: Site, release: Mapping[str, Any], categories: Mapping[str, Any]) -> Steps[list[Post]]:
    languages = yield from _find_languages(site, list(release["editions"]))
    posts: dict[str, Post] = {}
    for tag in release["editions"]:
        found = yield from _find_posts(site, release, tag)
        posts[tag] = found[0] if found else (yield from _draft(site, release, tag, languages))
    kept = {tag: made for tag, made in posts.items() if made.status != "trash"}
    pictures = {}
    for tag, made in kept.items():
        pictures[tag] = yield from bring_pictures(site, release, tag, made.id)
    for tag, made in kept.items():
        fields = _fields(release, tag, pictures[tag], categories) | _translation(tag, kept, languages)
        yield from site.send(f"wp/v2/posts/{made.id}", fields | _status(made))
    return list(posts.values())


def _trash_others(site: Site, release: Mapping[str, Any], posts: Sequence[Post]) -> Steps[None]:
    """In a language that the release no longer has, or that is no longer ordered, what was wrong would stay."""
    current = {made.id for made in posts}
    for found in (yield from site.find("posts", search=_mark(release, ""), status=_STATES, _fields="id,status")):
        if found.id not in current and found.status != "trash":
            yield from _trash_one(site, found)


def _trash(site: Site, release: Mapping[str, Any]) -> Steps[None]:
    for tag in release["editions"]:
        for found in (yield from _find_posts(site, release, tag)):
            if found.status != "trash":
                yield from _trash_one(site, found)


def _trash_one(site: Site, found: Post) -> Steps[None]:
    try:
        yield from site.send(f"wp/v2/posts/{found.id}", {}, method="DELETE")
    except Refused as refusal:
        if refusal.response.status == 501:
            # A site without a trash would delete for good.
            yield from site.send(f"wp/v2/posts/{found.id}", {"status": "draft"})
        elif refusal.response.status in (404, 410):
            # Somebody was there first, as the site itself shall say.
            yield from site.find("posts", include=str(found.id), status=_STATES, _fields="id,status")
        else:
            raise


def _find_posts(site: Site, release: Mapping[str, Any], tag: str) -> Steps[list[Post]]:
    """By the slug that we gave; where an editor changed that, or the trash did, by the mark in the text."""
    shape = {"status": _STATES, "_fields": "id,status"}
    found = yield from site.find("posts", slug=_slug(release, tag), **shape)
    if found:
        return found
    found = yield from site.find("posts", search=_mark(release, tag), **shape)
    # The mark of `en` is the beginning of that of `en-GB`.
    for longer in (other for other in release["editions"] if found and other.lower().startswith(f"{tag}-".lower())):
        theirs = yield from site.find("posts", search=_mark(release, longer), **shape)
        found = [post for post in found if post.id not in {other.id for other in theirs}]
    return found


def _draft(site: Site, release: Mapping[str, Any], tag: str, languages: Mapping[str, str]) -> Steps[Post]:
    fields = _fields(release, tag, [], {}) | {"slug": _slug(release, tag), "status": "draft"}
    return (yield from site.send("wp/v2/posts", fields | _translation(tag, {}, languages)))


def _fields(
    release: Mapping[str, Any], tag: str, pictures: Sequence[Picture], categories: Mapping[str, Any]
) -> dict[str, Any]:
    edition = release["editions"][tag]
    ids = [categories[name] for name in release["categories"] if name in categories]
    chosen = dict.fromkeys(id.get(tag) if isinstance(id, dict) else id for id in ids)
    return {
        "title": html.escape(edition["headline"], quote=False),
        "excerpt": html.escape(edition["summary"], quote=False),
        "content": _content(release, tag, pictures),
        "featured_media": next((picture.id for picture in pictures if picture.id), 0),
    } | ({"categories": [id for id in chosen if id]} if any(chosen) else {})


def _content(release: Mapping[str, Any], tag: str, pictures: Sequence[Picture]) -> str:
    """As one block of HTML, which WordPress shows as it is; of any other it would guess the paragraphs."""
    edition = release["editions"][tag]
    dateline = f"<p>{html.escape(edition['dateline'], quote=False)}</p>\n" if edition["dateline"] else ""
    text = f"{dateline}{edition['body_html']}\n{show_media(release, tag, pictures)}"
    # In square brackets WordPress looks for its shortcodes, which run code.
    text = text.replace("[", "&#091;").replace("]", "&#093;")
    return f'<!-- wp:html -->\n<div id="{_mark(release, tag)}" lang="{tag}">\n{text}\n</div>\n<!-- /wp:html -->'


def _status(found: Post) -> dict[str, str]:
    """A draft is ours, from a moment ago; what an editor made private, or holds back, stays so."""
    return {"status": "publish"} if found.status == "draft" else {}


def _slug(release: Mapping[str, Any], tag: str) -> str:
    # WordPress cuts a slug after 200 bytes, and then it would not be found.
    return f"{release['slug'][:140]}-{release['id'][-12:]}-{tag}".lower()


def _mark(release: Mapping[str, Any], tag: str) -> str:
    return f"diglot-{release['id']}-{tag}".lower()


def _find_languages(site: Site, tags: Sequence[str]) -> Steps[dict[str, str]]:
    """Our tags to the site's own names, where Polylang tells of any."""
    try:
        told = yield from site.get("pll/v1/languages", _fields="slug,locale,w3c")
    except Refused as refusal:
        if refusal.response.status in (None, 429) or refusal.response.status >= 500:
            raise
        return {}
    entries = [each for each in told if isinstance(each, dict)] if isinstance(told, list) else []
    known = {str(each.get("locale")).replace("_", "-"): str(each.get("slug")) for each in entries}
    known = {locale: name for locale, name in known.items() if langcodes.tag_is_valid(locale)}
    nearest = {tag: langcodes.closest_supported_match(tag, list(known), _FURTHEST_LANGUAGE) for tag in tags}
    return {tag: known[match] for tag, match in nearest.items() if match}


def _translation(tag: str, posts: Mapping[str, Post], languages: Mapping[str, str]) -> dict[str, Any]:
    """The fields of Polylang Pro: the post's language, and the posts in the others."""
    if tag not in languages:
        return {}
    others = {languages[other]: made.id for other, made in posts.items() if other in languages}
    return {"lang": languages[tag]} | ({"translations": others} if others else {})
