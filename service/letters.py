"""What an e-mail says of a release: as text and as HTML, in each language that was ordered."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from service.messages import say, ui_language

_RULE = "\n\n" + "-" * 40 + "\n\n"


@dataclass(frozen=True, slots=True)
class Letter:
    """``subject`` and ``text`` are plain; ``languages`` are those that it is written in."""

    subject: str
    text: str
    html: str
    languages: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Part:
    """One language's share."""

    tag: str
    subject: str
    text: str
    html: str


def write_letters(body: bytes, settings: Mapping[str, Any], unsubscribe_url: str) -> Iterator[Letter]:
    """From the push that a webhook would get: one letter with all languages, or one for each (`messages`: `apart`)."""
    message = json.loads(body)
    parts = [_part(message, tag) for tag in _languages(message)]
    groups = [[part] for part in parts] if settings.get("messages") == "apart" else [parts]
    yield from (_join(group, unsubscribe_url) for group in groups)


def _languages(message: Mapping[str, Any]) -> list[str]:
    release = message["data"].get("release")
    return list(release["editions"]) if release else ["zh-Hans", "en"]


def _part(message: Mapping[str, Any], tag: str) -> _Part:
    words = ui_language(tag)
    if message["type"] == "subscription.test":
        subject, text = say(words, "mail.test.subject"), say(words, "mail.test.text")
        return _Part(tag, subject, text, f"<p>{html.escape(text)}</p>")
    release = message["data"]["release"]
    if message["type"] == "release.withdrawn":
        return _withdrawal(release, tag)
    part = _edition(release, tag)
    if message["type"] == "release.corrected":
        return _Part(tag, say(words, "mail.corrected", headline=part.subject), part.text, part.html)
    return part


def _withdrawal(release: Mapping[str, Any], tag: str) -> _Part:
    words, reasons = ui_language(tag), release["withdrawal"]["reason"]
    reason = reasons.get(tag) or next(iter(reasons.values()), "")
    # In a language that the newsroom has given up since, there are no pages any more.
    url = release["editions"][tag]["url"] or release["slug"]
    text = say(words, "mail.withdrawn.text", url=url, reason=reason)
    return _Part(tag, say(words, "mail.withdrawn.subject"), text, f"<p>{html.escape(text)}</p>")


def _edition(release: Mapping[str, Any], tag: str) -> _Part:
    edition, words = release["editions"][tag], ui_language(tag)
    note = release["change_note"].get(tag)
    lead = [*([note] if note else []), *([edition["dateline"]] if edition["dateline"] else [])]
    link, url = say(words, "mail.read"), edition["url"]
    text = [edition["headline"], *lead, edition["body_text"], *([f"{link} {url}"] if url else [])]
    markup = [
        f"<h1>{html.escape(edition['headline'])}</h1>", *(f"<p>{html.escape(line)}</p>" for line in lead),
        edition["body_html"], *(_picture(medium, tag) for medium in release["media"]),
        *([f'<p><a href="{html.escape(url)}">{html.escape(link)}</a></p>'] if url else []),
    ]
    return _Part(tag, edition["headline"], "\n\n".join(text), "\n".join(markup))


def _picture(medium: Mapping[str, Any], tag: str) -> str:
    if not medium["type"].startswith("image/"):
        return ""
    alt, credit = (html.escape(str(medium[name].get(tag, ""))) for name in ("alt", "credit"))
    return f'<p><img src="{html.escape(medium["url"])}" alt="{alt}" width="560"><br>{credit}</p>'


def _join(parts: list[_Part], unsubscribe_url: str) -> Letter:
    ends = [say(words, "mail.unsubscribe") for words in dict.fromkeys(ui_language(part.tag) for part in parts)]
    text = _RULE.join([*(part.text for part in parts), "\n".join([*ends, unsubscribe_url])])
    sections = "<hr>\n".join(f'<section lang="{part.tag}">\n{part.html}\n</section>\n' for part in parts)
    link = f'<a href="{html.escape(unsubscribe_url)}">{html.escape(" · ".join(ends))}</a>'
    page = f'<!DOCTYPE html>\n<html lang="{parts[0].tag}"><body>\n{sections}<hr>\n<p>{link}</p>\n</body></html>\n'
    return Letter(" / ".join(part.subject for part in parts), text + "\n", page, tuple(part.tag for part in parts))
