"""The newsroom's pages, read as a browser reads them."""

from __future__ import annotations

import dataclasses
import uuid
from datetime import UTC, datetime, timedelta
from xml.etree.ElementTree import Element

import html5lib
import pytest

from service.config import Language, Profile
from service.model import Edition, Release, ReleaseMedium, ReleaseState
from service.web.pages import render_feeds, render_list, render_not_found, render_problem, render_release

ZH = Language("zh-Hans", "zh", "简体中文")
EN = Language("en", "en", "English")
PROFILE = Profile(
    id="tag:news.example,2026:newsroom",
    base_url="https://news.example",
    name={"zh-Hans": "临江新闻室", "en": "Linjiang Newsroom"},
    description={"zh-Hans": "临江各院校的消息", "en": "News from the colleges of Linjiang"},
    languages=(ZH, EN),
    categories={"education": {"zh-Hans": "教育", "en": "Education"}},
    contact_email="press@news.example",
    icon="https://news.example/icon.png",
    feed_entries=25,
)
EDITIONS = (
    Edition(
        language="zh-Hans", headline="交流团到访临江港口技术学院", summary="双方商定互派教师。",
        dateline="临江，9月18日",
        body_text="交流团一行十二人到访。\n\n双方商定互派教师。",
        body_html="<p>交流团一行<strong>十二人</strong>到访。</p>\n<p>双方商定互派教师。</p>",
    ),
    Edition(
        language="en", headline="Delegation Visits Linjiang Port Institute",
        summary="A delegation of twelve…", body_text="A delegation of twelve visited.",
        body_html="<p>A delegation of twelve visited.</p>",
    ),
)
NOON = datetime(2026, 9, 18, 12, 5, tzinfo=UTC)
CONTACT = {"name": "苏闻笛", "organization": "学院", "email": "su@news.example", "phone": "+86 21 5555 0100"}
RELEASE = Release(
    id=uuid.UUID(int=1), slug="delegation-visits", revision=1, state=ReleaseState.PUBLISHED,
    editions=EDITIONS, created_at=NOON, updated_at=NOON, published_at=NOON,
    authoritative_language="zh-Hans", categories=("education", "unlisted"), contacts=(CONTACT,),
)
HOSTILE = '<script>alert(1)</script>" onload="x" \'&{{ 7*7 }}'
BOTH = pytest.mark.parametrize(
    ("language", "edition"), [(ZH, EDITIONS[0]), (EN, EDITIONS[1])], ids=["zh", "en"]
)


def read(html: str) -> Element:
    """Strictly: the first parse error of HTML5 raises."""
    return html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(html)


def links(page: Element, rel: str, **attributes: str) -> list[Element]:
    wanted = {"rel": rel, **attributes}
    return [link for link in page.iter("link") if wanted.items() <= link.attrib.items()]


def alternates(page: Element) -> dict[str, str]:
    found = links(page, "alternate")
    return {link.attrib["hreflang"]: link.attrib["href"] for link in found if "hreflang" in link.attrib}


def text_of(page: Element, tag: str) -> str:
    return " ".join("".join(element.itertext()).strip() for element in page.iter(tag))


def every_page(profile: Profile, language: Language, release: Release) -> list[str]:
    edition = release.edition(language.tag)
    assert edition
    return [
        render_list(profile, language, [], None),
        render_list(profile, language, [(release, edition)], f"/{language.url_name}/?before=x&y=z"),
        render_release(profile, language, release, edition),
        render_feeds(profile, language),
        render_not_found(profile, language),
        render_problem(profile, language, release.editions[0].headline, "…"),
    ]


@BOTH
def test_every_page_is_valid_html5_in_its_own_language(language: Language, edition: Edition) -> None:
    for html in every_page(PROFILE, language, RELEASE):
        page = read(html)
        assert (page.attrib["lang"], page.attrib["dir"]) == (language.tag, "ltr")
        assert len(list(page.iter("h1"))) == len(list(page.iter("main"))) == 1
        assert len(list(page.iter("title"))) == 1


@BOTH
def test_no_page_carries_a_script_or_a_style_of_its_own(language: Language, edition: Edition) -> None:
    for html in every_page(PROFILE, language, RELEASE):
        page = read(html)
        assert not list(page.iter("script")) + list(page.iter("style"))
        names = {name for element in page.iter() for name in element.attrib}
        assert not [name for name in names if name == "style" or name.startswith("on")]
        assert [link.attrib["href"] for link in links(page, "stylesheet")] == ["/static/diglot.css"]


@BOTH
def test_a_hostile_text_is_shown_and_never_run(language: Language, edition: Edition) -> None:
    editions = tuple(
        dataclasses.replace(e, headline=HOSTILE, summary=HOSTILE, dateline=HOSTILE) for e in EDITIONS
    )
    contact = {"name": HOSTILE, "email": "a?bcc=b&c@news.example", "phone": "+1 (2)/3"}
    release = dataclasses.replace(RELEASE, editions=editions, categories=(HOSTILE,), contacts=(contact,))
    profile = dataclasses.replace(PROFILE, name={"en": HOSTILE}, description={"en": HOSTILE})
    pages = [read(html) for html in every_page(profile, language, release)]
    for page in pages:
        assert not list(page.iter("script"))
        assert not [element for element in page.iter() if "onload" in element.attrib]
    shown = text_of(pages[2], "article")
    assert shown.count(HOSTILE) == 3
    hrefs = [a.attrib["href"] for a in pages[2].iter("a")]
    assert {"mailto:a%3Fbcc%3Db%26c@news.example", "tel:+123"} <= set(hrefs)


@BOTH
def test_the_body_goes_in_as_it_is(language: Language, edition: Edition) -> None:
    assert edition.body_html in render_release(PROFILE, language, RELEASE, edition)


def test_tables_and_preformatted_text_scroll_by_keyboard_and_are_named() -> None:
    """One region for each, whatever is nested in it, and each with a name of its own (WCAG 2.1.1 and 4.1.2)."""
    table = "<table><tbody><tr><td>a<table><tbody><tr><td>b</td></tr></tbody></table></td></tr></tbody></table>"
    edition = dataclasses.replace(EDITIONS[0], body_html=f"<p>x</p>{table}<pre lang=\"en\">y</pre>{table}<p>z</p>")
    body = next(e for e in read(render_release(PROFILE, ZH, RELEASE, edition)).iter("div") if e.get("class") == "body")
    assert [(e.tag, e.get("aria-label")) for e in body] == [
        ("p", None), ("div", "表格 1"), ("div", "预排文本 1"), ("div", "表格 2"), ("p", None),
    ]
    regions = [e for e in body.iter("div") if e is not body]
    assert [(e.get("role"), e.get("tabindex"), [child.tag for child in e]) for e in regions] == [
        ("region", "0", ["table"]), ("region", "0", ["pre"]), ("region", "0", ["table"]),
    ]


@BOTH
def test_a_release_names_its_page_in_every_language_and_itself_as_canonical(
    language: Language, edition: Edition
) -> None:
    page = read(render_release(PROFILE, language, RELEASE, edition))
    assert alternates(page) == {
        "zh-Hans": "https://news.example/zh/releases/delegation-visits",
        "en": "https://news.example/en/releases/delegation-visits",
        "x-default": "https://news.example/zh/releases/delegation-visits",
    }
    canonical = [link.attrib["href"] for link in links(page, "canonical")]
    assert canonical == [f"https://news.example/{language.url_name}/releases/delegation-visits"]


@BOTH
def test_a_list_names_the_list_in_every_language(language: Language, edition: Edition) -> None:
    page = read(render_list(PROFILE, language, [], None))
    assert alternates(page) == {
        "zh-Hans": "https://news.example/zh/",
        "en": "https://news.example/en/",
        "x-default": "https://news.example/zh/",
    }
    assert [link.attrib["href"] for link in links(page, "canonical")] == [PROFILE.list_url(language)]


@BOTH
def test_an_older_list_is_a_page_of_its_own_in_every_language(language: Language, edition: Edition) -> None:
    """Were the newest list its canonical address, search engines would drop what only the older one shows."""
    query = "?before=2026-09-18T12:05:00.000Z"
    page = read(render_list(PROFILE, language, [(RELEASE, edition)], "?before=earlier", query))
    assert alternates(page) == {
        "zh-Hans": f"https://news.example/zh/{query}",
        "en": f"https://news.example/en/{query}",
        "x-default": f"https://news.example/zh/{query}",
    }
    assert [link.attrib["href"] for link in links(page, "canonical")] == [PROFILE.list_url(language) + query]


def test_a_release_without_an_edition_in_a_language_has_no_alternate_there() -> None:
    profile = dataclasses.replace(PROFILE, languages=(*PROFILE.languages, Language("fr", "fr", "Français")))
    page = read(render_release(profile, EN, RELEASE, EDITIONS[1]))
    assert set(alternates(page)) == {"zh-Hans", "en", "x-default"}


@BOTH
def test_feeds_are_found_own_language_first_and_atom_before_rss_before_json(
    language: Language, edition: Edition
) -> None:
    page = read(render_release(PROFILE, language, RELEASE, edition))
    found = [link.attrib for link in links(page, "alternate") if "type" in link.attrib]
    feeds = [(link["href"], link["type"]) for link in found]
    other = EN if language is ZH else ZH
    types = {"atom": "application/atom+xml", "rss": "application/rss+xml", "json": "application/feed+json"}
    assert feeds == [
        (f"https://news.example/feeds/{known.url_name}.{name}", media_type)
        for known in (language, other) for name, media_type in types.items()
    ]


@BOTH
def test_the_switch_leads_to_the_same_release_in_the_other_language(
    language: Language, edition: Edition
) -> None:
    page = read(render_release(PROFILE, language, RELEASE, edition))
    other = EN if language is ZH else ZH
    nav = next(page.iter("nav"))
    assert [(a.attrib["href"], a.attrib["lang"], a.text) for a in nav.iter("a")] == [
        (f"/{other.url_name}/releases/delegation-visits", other.tag, other.name)
    ]


@pytest.mark.parametrize(("language", "zone", "shown"), [
    (ZH, "UTC", "2026年9月18日 22:05（协调世界时）"),
    (EN, "UTC", "September 18, 2026, 22:05 (Coordinated Universal Time)"),
    (ZH, "Asia/Shanghai", "2026年9月19日 06:05（中国标准时间）"),
    (EN, "Asia/Shanghai", "September 19, 2026, 06:05 (China Standard Time)"),
    (EN, "Europe/London", "September 18, 2026, 23:05 (British Summer Time)"),
])
def test_moments_read_as_language_and_zone_have_them_and_stay_exact_for_programs(
    language: Language, zone: str, shown: str
) -> None:
    profile = dataclasses.replace(PROFILE, time_zone=zone)
    release = dataclasses.replace(RELEASE, published_at=NOON + timedelta(hours=10))
    edition = release.edition(language.tag)
    assert edition
    time = next(read(render_release(profile, language, release, edition)).iter("time"))
    assert (time.text, time.attrib["datetime"]) == (shown, "2026-09-18T22:05:00.000Z")


def test_a_list_dates_an_early_morning_by_the_newsrooms_own_day() -> None:
    profile = dataclasses.replace(PROFILE, time_zone="Asia/Shanghai")
    release = dataclasses.replace(RELEASE, published_at=NOON + timedelta(hours=10))
    page = read(render_list(profile, ZH, [(release, EDITIONS[0])], None))
    assert text_of(page, "time") == "2026年9月19日"


def test_only_a_revised_release_says_when_it_was_updated() -> None:
    """A draft may have had many revisions, of which nobody outside knows."""
    assert RELEASE.published_at
    revised = dataclasses.replace(RELEASE, updated_at=RELEASE.published_at + timedelta(hours=1))
    drafted = dataclasses.replace(RELEASE, revision=2)
    assert "更新时间" not in render_release(PROFILE, ZH, drafted, EDITIONS[0])
    assert "更新时间" not in render_release(PROFILE, ZH, RELEASE, EDITIONS[0])
    assert "更新时间" in render_release(PROFILE, ZH, revised, EDITIONS[0])


def test_categories_carry_their_label_and_contacts_all_that_is_known() -> None:
    page = read(render_release(PROFILE, ZH, RELEASE, EDITIONS[0]))
    items = text_of(page, "li")
    assert "教育" in items and "unlisted" in items
    for word in ("苏闻笛", "学院", "su@news.example", "+86 21 5555 0100"):
        assert word in text_of(page, "address")


def test_a_contact_needs_nothing_but_a_name() -> None:
    release = dataclasses.replace(RELEASE, contacts=({"name": "Su"},))
    assert text_of(read(render_release(PROFILE, EN, release, EDITIONS[1])), "address") == "Su"


def test_the_note_leads_from_the_other_edition_to_the_authoritative_one() -> None:
    here = read(render_release(PROFILE, ZH, RELEASE, EDITIONS[0]))
    there = read(render_release(PROFILE, EN, RELEASE, EDITIONS[1]))
    neither = dataclasses.replace(RELEASE, authoritative_language=None)
    assert "本版本为权威版本" in text_of(here, "article")
    target = next(a for a in next(there.iter("article")).iter("a"))
    assert (target.attrib["href"], target.text) == ("/zh/releases/delegation-visits", "简体中文")
    assert "uthoritative" not in render_release(PROFILE, EN, neither, EDITIONS[1])


def test_a_summary_that_only_repeats_the_beginning_is_not_shown_twice() -> None:
    assert "双方商定互派教师。" in text_of(read(render_release(PROFILE, ZH, RELEASE, EDITIONS[0])), "article")
    assert "…" not in text_of(read(render_release(PROFILE, EN, RELEASE, EDITIONS[1])), "article")
    second = dataclasses.replace(EDITIONS[1], body_text="Background\n\nA delegation of twelve visited.")
    assert "…" not in text_of(read(render_release(PROFILE, EN, RELEASE, second)), "article")


@pytest.mark.parametrize(("language", "sentence"), [(ZH, "还没有发布稿"), (EN, "no releases yet")])
def test_an_empty_list_says_so_kindly(language: Language, sentence: str) -> None:
    assert sentence in text_of(read(render_list(PROFILE, language, [], None)), "main")


def test_a_list_links_each_release_and_the_older_ones() -> None:
    page = read(render_list(PROFILE, EN, [(RELEASE, EDITIONS[1])], "/en/?before=a&b"))
    hrefs = [a.attrib["href"] for a in next(page.iter("main")).iter("a")]
    assert hrefs == ["/en/releases/delegation-visits", "/en/?before=a&b"]


def test_what_is_not_there_is_kept_from_search_engines_and_claims_no_address() -> None:
    page = read(render_not_found(PROFILE, ZH))
    robots = [meta.attrib["content"] for meta in page.iter("meta") if meta.attrib.get("name") == "robots"]
    assert (robots, alternates(page), links(page, "canonical")) == (["noindex"], {}, [])


MEDIA = (
    ReleaseMedium(
        url="/media/a.jpg", type="image/jpeg", byte_length=48213, width=1600, height=1067,
        title={"en": "The signing"}, alt={"zh-Hans": "两人签字", "en": HOSTILE}, credit={"zh-Hans": "摄影：顾念"},
    ),
    ReleaseMedium(url="https://cdn.example/b.png", type="image/png"),
    ReleaseMedium(url="/media/c.pdf", type="application/pdf", byte_length=1_234_567, name="日程.pdf"),
    ReleaseMedium(url="https://cdn.example/d.mp3", type="audio/mpeg", title={"en": "Speech"}),
)
WITH_MEDIA = dataclasses.replace(RELEASE, media=MEDIA)


def test_a_picture_has_its_words_its_size_and_whom_it_is_owed_to() -> None:
    page = read(render_release(PROFILE, EN, WITH_MEDIA, EDITIONS[1]))
    first, second = page.iter("figure")
    [image] = first.iter("img")
    assert image.attrib == {
        "src": "/media/a.jpg", "alt": HOSTILE, "width": "1600", "height": "1067", "loading": "lazy",
    }
    assert text_of(first, "figcaption").split() == ["The", "signing", "摄影：顾念"]
    assert [image.attrib for image in second.iter("img")] == [
        {"src": "https://cdn.example/b.png", "alt": "", "loading": "lazy"}
    ]
    assert not list(second.iter("figcaption"))
    [preview] = [meta for meta in page.iter("meta") if meta.attrib.get("property") == "og:image"]
    assert preview.attrib["content"] == "https://news.example/media/a.jpg"


@pytest.mark.parametrize(("language", "edition", "titles", "heading"), [
    (ZH, EDITIONS[0], ["日程.pdf", "d.mp3"], "文件下载"), (EN, EDITIONS[1], ["日程.pdf", "Speech"], "Files"),
], ids=["zh", "en"])
def test_other_files_are_listed_with_their_size_in_the_reader_s_way(
    language: Language, edition: Edition, titles: list[str], heading: str
) -> None:
    page = read(render_release(PROFILE, language, WITH_MEDIA, edition))
    [files] = [section for section in page.iter("section") if section.attrib["aria-labelledby"] == "files"]
    assert [(a.attrib["href"], a.attrib["type"], a.text) for a in files.iter("a")] == [
        ("/media/c.pdf", "application/pdf", titles[0]), ("https://cdn.example/d.mp3", "audio/mpeg", titles[1]),
    ]
    assert [span.text for span in files.iter("span")] == ["1.2 MB"]
    assert text_of(files, "h2") == heading


@pytest.mark.parametrize(("byte_length", "shown"), [
    (1, "1 o"), (999, "999 o"), (1000, "1 ko"), (1500, "1,5 ko"), (999_900, "999,9 ko"), (20_971_520, "21 Mo"),
])
def test_a_size_reads_as_the_language_writes_numbers(byte_length: int, shown: str) -> None:
    french = Language("fr", "fr", "Français")
    edition = dataclasses.replace(EDITIONS[1], language="fr")
    file = ReleaseMedium(url="/media/c.pdf", type="application/pdf", byte_length=byte_length)
    release = dataclasses.replace(RELEASE, editions=(edition,), media=(file,))
    page = read(render_release(dataclasses.replace(PROFILE, languages=(french,)), french, release, edition))
    [files] = [section for section in page.iter("section") if section.attrib["aria-labelledby"] == "files"]
    assert text_of(next(files.iter("li")), "span").replace("\u202f", " ").replace("\xa0", " ") == shown


def test_a_language_that_the_catalogue_does_not_know_still_has_its_own_dates_and_direction() -> None:
    arabic = Language("ar", "ar", "العربية")
    profile = dataclasses.replace(PROFILE, languages=(EN, arabic))
    edition = dataclasses.replace(EDITIONS[1], language="ar", headline="زيارة")
    release = dataclasses.replace(RELEASE, editions=(EDITIONS[1], edition))
    page = read(render_release(profile, arabic, release, edition))
    assert page.attrib["dir"] == "rtl"
    assert "سبتمبر" in text_of(page, "time")


@BOTH
def test_the_page_of_feeds_lists_each_with_its_address_and_says_how(language: Language, edition: Edition) -> None:
    main = next(read(render_feeds(PROFILE, language)).iter("main"))
    feeds = [f"https://news.example/feeds/{language.url_name}{name}" for name in ("", "/education")]
    addresses = [f"{feed}.{name}" for feed in feeds for name in ("atom", "rss", "json")]
    assert [code.text for code in main.iter("code")] == addresses
    hrefs = [a.attrib["href"] for a in main.iter("a")]
    lists = [f"/feeds/{language.url_name}.opml", "/feeds.opml"]
    assert hrefs == [*(address.removeprefix("https://news.example") for address in addresses), *lists]
    assert {"zh": "阅读器", "en": "feed reader"}[language.url_name] in text_of(main, "p")


@BOTH
def test_every_page_leads_to_the_page_of_feeds_and_to_the_lists_of_feeds(language: Language, edition: Edition) -> None:
    for html in every_page(PROFILE, language, RELEASE):
        page = read(html)
        assert f"/{language.url_name}/feeds/" in [a.attrib["href"] for a in next(page.iter("footer")).iter("a")]
        outlines = [(link.attrib["type"], link.attrib["href"]) for link in links(page, "outline")]
        base = "https://news.example/feeds"
        assert outlines == [("text/x-opml", f"{base}/{language.url_name}.opml"), ("text/x-opml", f"{base}.opml")]


@BOTH
def test_the_page_of_feeds_names_itself_in_every_language(language: Language, edition: Edition) -> None:
    page = read(render_feeds(PROFILE, language))
    assert alternates(page)["en"] == "https://news.example/en/feeds/"
    assert [link.attrib["href"] for link in links(page, "canonical")] == [PROFILE.feeds_url(language)]


def test_our_words_and_borrowed_ones_say_their_language_where_the_page_is_in_another() -> None:
    """A screen reader must not read English as French (WCAG 3.1.2), nor an Arabic line run through an English label."""
    french = Language("fr", "fr", "Français")
    profile = dataclasses.replace(
        PROFILE, languages=(*PROFILE.languages, french), description={"zh-Hans": "临江各院校的消息"}
    )
    edition = dataclasses.replace(EDITIONS[1], language="fr", headline="Une délégation", body_html="<p>Douze.</p>")
    release = dataclasses.replace(WITH_MEDIA, editions=(*EDITIONS, edition))
    page = read(render_release(profile, french, release, edition))
    said = {(e.attrib["lang"], e.attrib.get("dir"), "".join(e.itertext())) for e in page.iter() if "lang" in e.attrib}
    assert {
        ("en", "ltr", "Published"), ("en", "ltr", "Skip to the text"), ("en", "ltr", "Files"),
        ("zh-Hans", None, "摄影：顾念"),
    } <= said
    assert [a.attrib["lang"] for a in next(page.iter("nav")).iter("a")] == ["zh-Hans", "en"]
    shown = read(render_list(profile, french, [(release, edition)], None))
    assert [e.attrib["lang"] for e in shown.iter("p") if e.get("class") == "lead"] == ["zh-Hans"]
    assert "<span lang" not in render_release(PROFILE, EN, RELEASE, EDITIONS[1])
    problem = read(render_problem(profile, french, "Gone", "It is <gone>."))
    assert [(e.attrib["lang"], e.text) for e in next(problem.iter("main")).iter("span")][:2] == [
        ("en", "Gone"), ("en", "It is <gone>."),
    ]
