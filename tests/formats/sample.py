"""One bilingual wire in two feeds, from which the golden documents are made."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from service.feeds import entry_id
from service.model import Category, Entry, Feed, Medium, Related, Tombstone

SITE = "https://press.example"
PATHS = {"zh-Hans": "zh", "en": "en"}
OTHER = {"zh-Hans": "en", "en": "zh-Hans"}
WORDS = {
    "zh-Hans": {
        "title": "江海职教协会新闻",
        "subtitle": "江海职业教育协会的中英文新闻稿",
        "author": "江海职业教育协会",
        "category": "合作 & 交流",
        "superseded": "数字有误。已由另一篇发布稿取代。",
        "photo": ("签约现场", "两人在桌前签字 & 握手", "摄影：顾念"),
        "file": "日程安排",
        "headlines": (
            "林晓岚率团访问“青蓝”实训中心 & 签署备忘录",
            "第二届技能周将于十二月开幕",
            "𠮷野工坊:新课程 <焊接基础> 上线",
        ),
        "summary": "双方就师资互访、课程共建 & 学分互认达成一致:3 < 5 项已落实。",
        "body": "<p>近日,林晓岚会长一行赴青蓝实训中心调研交流,与中心负责人座谈。</p>\n"
        "<p>双方商定:A&amp;B 两个项目先行,<strong>明年三月</strong>启动🎉。</p>",
    },
    "en": {
        "title": "Jianghai Vocational Education News",
        "subtitle": "Press releases of the Jianghai Association, in Chinese and English",
        "author": "Jianghai Vocational Education Association",
        "category": "Cooperation & Exchange",
        "superseded": "A number & a name were wrong. Another release has taken its place.",
        "photo": ("The signing", "Two people sign & shake hands", "Photo: Gu Nian"),
        "file": "Programme",
        "headlines": (
            "Lin Xiaolan Leads Delegation to the “Qinglan” Training Centre & Signs Memorandum",
            "Second Skills Week to Open in December",
            "Yoshino Workshop: New Course <Welding Basics> Goes Live",
        ),
        "summary": "The two sides agreed on teacher visits, shared courses & credits: 3 < 5 points are settled.",
        "body": "<p>President Lin Xiaolan recently led a delegation to the Qinglan Training Centre.</p>\n"
        "<p>Projects A&amp;B come first and <strong>start next March</strong> 🎉.</p>",
    },
}
# Release ids, by slug.
RELEASES = {
    "qinglan-visit": uuid.UUID("019a9c1e-7b2a-7c4d-8e10-3f5a6b7c8d01"),
    "skills-week": uuid.UUID("019a972f-03c1-7b6e-9a44-5c1e2d3f4a02"),
    "welding-basics": uuid.UUID("019a9208-9e57-7f13-b7c8-0a9b8c7d6e03"),
}
SLUGS = tuple(RELEASES)
LATEST = datetime(2026, 11, 20, 9, 30, 15, 250_000, tzinfo=timezone(timedelta(hours=8)))


def feed_id(language: str, category: str = "") -> str:
    return uuid.uuid5(uuid.NAMESPACE_URL, f"{SITE}/{language}/{category}").urn


def page_url(language: str, slug: str) -> str:
    return f"{SITE}/{PATHS[language]}/releases/{slug}"


def make_entry(language: str, number: int) -> Entry:
    words, slug = WORDS[language], SLUGS[number]
    published = LATEST - timedelta(days=number, milliseconds=250 if number == 1 else 0)
    return Entry(
        id=entry_id(RELEASES[slug], language),
        language=language,
        title=words["headlines"][number],
        summary=words["summary"],
        content_html=words["body"],
        url=page_url(language, slug),
        published=published,
        updated=published + timedelta(minutes=number),
        related=(Related(OTHER[language], page_url(OTHER[language], slug)),),
        categories=(Category("cooperation", words["category"]),) if number < 2 else (),
        media=make_media(words) if number == 0 else (),
    )


def make_media(words: dict[str, Any]) -> tuple[Medium, ...]:
    """A recording of unknown length first, then a picture about which all is known, and a file."""
    title, alt, credit = words["photo"]
    return (
        Medium(url="https://cdn.example/speech.mp3", type="audio/mpeg"),
        Medium(
            url=f"{SITE}/media/3f786850e387550fdab836ed7e6dc881.jpg", type="image/jpeg", byte_length=48213,
            width=1600, height=1067, title=title, alt=alt, credit=credit,
        ),
        Medium(url="https://cdn.example/programme.pdf", type="application/pdf", byte_length=7, title=words["file"]),
    )


def make_feed(language: str) -> Feed:
    """Chinese has an address for its author and English none, so both kinds of byline are rendered."""
    words = WORDS[language]
    entries = tuple(make_entry(language, number) for number in range(len(SLUGS)))
    return Feed(
        id=feed_id(language),
        language=language,
        title=words["title"],
        subtitle=words["subtitle"],
        address=f"{SITE}/feeds/{PATHS[language]}",
        page_url=f"{SITE}/{PATHS[language]}/",
        author_name=words["author"],
        author_email="news@press.example" if language == "zh-Hans" else None,
        updated=max(entry.updated for entry in entries).astimezone(UTC),
        icon_url=f"{SITE}/icon.png",
        hub_url=f"{SITE}/hub",
        related=(Related(OTHER[language], f"{SITE}/feeds/{PATHS[OTHER[language]]}"),),
        entries=entries,
        style_url=f"{SITE}/static/feed.css",
    )


def make_archive(language: str) -> Feed:
    """The second archive, from which one release was withdrawn: no related feeds, but a way back and forward."""
    feed = make_feed(language)
    withdrawn, *entries = feed.entries
    tombstone = Tombstone(
        withdrawn.id, LATEST + timedelta(days=3), language=language, comment=WORDS[language]["superseded"],
        successors=(Related(language, f"{SITE}/{PATHS[language]}/releases/qinglan-visit-2"),),
    )
    return replace(
        feed, address=f"{feed.address}/archive/2", prev_archive=f"{feed.address}/archive/1", current=feed.address,
        related=(), entries=tuple(entries), tombstones=(tombstone,),
        updated=LATEST + timedelta(days=3),
    )


def make_category_feed(language: str) -> Feed:
    """What is current of one category, with two withdrawals and nothing before it."""
    feed, other = make_feed(language), PATHS[OTHER[language]]
    return replace(
        feed, id=feed_id(language, "cooperation"), title=f"{feed.title} – {WORDS[language]['category']}",
        address=f"{feed.address}/cooperation", entries=feed.entries[:1],
        related=(Related(OTHER[language], f"{SITE}/feeds/{other}/cooperation"),),
        tombstones=tuple(Tombstone(entry.id, LATEST + timedelta(hours=2)) for entry in feed.entries[1:]),
    )
