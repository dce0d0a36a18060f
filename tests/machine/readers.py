"""What the public gets: every answer as it comes over HTTP, and what a reader makes of it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from flask.testing import FlaskClient
from lxml import etree, html

ATOM = "{http://www.w3.org/2005/Atom}"
STONE = "{http://purl.org/atompub/tombstones/1.0}deleted-entry"


@dataclass(frozen=True)
class Answer:
    """One response, with the validators that a reader keeps."""

    status: int
    body: bytes
    etag: str | None
    modified: str | None
    location: str | None
    caching: str | None


def fetch(client: FlaskClient, path: str) -> Answer:
    answer = client.get(path)
    modified = answer.last_modified.isoformat() if answer.last_modified else None
    headers = answer.headers
    return Answer(
        answer.status_code, answer.data, headers.get("ETag"), modified, headers.get("Location"),
        headers.get("Cache-Control"),
    )


@dataclass(frozen=True)
class Item:
    id: str
    title: str
    url: str
    updated: str | None


@dataclass(frozen=True)
class Shown:
    """A feed as any of its formats tells it."""

    items: list[Item]
    stones: dict[str, str]
    updated: str | None
    older: str | None


def read(answer: Answer, format: str) -> Shown:
    assert answer.status == 200, answer
    return {"atom": _read_atom, "rss": _read_rss, "json": _read_json}[format](answer.body)


def _read_atom(body: bytes) -> Shown:
    feed = etree.fromstring(body)
    entries = [
        Item(
            entry.findtext(f"{ATOM}id"), entry.findtext(f"{ATOM}title"), _link(entry, "alternate") or "",
            entry.findtext(f"{ATOM}updated"),
        )
        for entry in feed.findall(f"{ATOM}entry")
    ]
    stones = {stone.get("ref"): stone.get("when") for stone in feed.findall(STONE)}
    return Shown(entries, stones, feed.findtext(f"{ATOM}updated"), _link(feed, "prev-archive"))


def _read_rss(body: bytes) -> Shown:
    channel = etree.fromstring(body).find("channel")
    items = [
        Item(item.findtext("guid"), item.findtext("title"), item.findtext("link"), None)
        for item in channel.findall("item")
    ]
    return Shown(items, {}, None, None)


def _read_json(body: bytes) -> Shown:
    feed = json.loads(body)
    items = [Item(item["id"], item["title"], item["url"], item["date_modified"]) for item in feed["items"]]
    return Shown(items, {}, None, feed.get("next_url"))


def _link(element: etree._Element, rel: str) -> str | None:
    return next((link.get("href") for link in element.findall(f"{ATOM}link") if link.get("rel") == rel), None)


def read_list(answer: Answer) -> list[str]:
    """The slugs in the order of the page."""
    assert answer.status == 200
    links = html.fromstring(answer.body.decode()).xpath("//ol[@class='releases']//h2/a/@href")
    return [link.rsplit("/", 1)[1] for link in links]


def read_page(answer: Answer) -> tuple[str, list[str]]:
    """The headline and the notes of corrections, newest first."""
    page = html.fromstring(answer.body.decode())
    notes = [span.text_content() for span in page.xpath("//p[@class='note']/span[1]")]
    return re.sub(r"\s+", " ", page.findtext(".//h1") or ""), notes
