"""Every page in a real browser, on a telephone's screen, by keyboard and on paper."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.browser.newsroom import House

TELEPHONE = {"width": 360, "height": 740}
PAPER = {"width": 718, "height": 1000}  # A4 without its margins, at 96 dots an inch
# Colours don't depend on the language: one of them is read by night.
THEMES = {"zh": "light", "en": "dark"}
BOTH = pytest.mark.parametrize("language", ["zh", "en"])
# By name, which the house knows by a path or which is one, and the status that is due.
ROOMS = {
    "/{}/": 200, "/fr/": 200, "/{}/?before=20": 200, "/{}/feeds/": 200, "/problems/invalid": 200,
    "full": 200, "corrected": 200, "french": 200, "scheduled": 404, "withdrawn": 410, "picture-gone": 410,
    "receipts-corrected": 200, "receipts-scheduled": 200, "unsubscribe": 200, "preview": 200, "preview-ended": 410,
}
FOCUSED = """() => {
    const now = document.activeElement, box = now.getBoundingClientRect(), style = getComputedStyle(now)
    if (now === document.body) return null
    const isSeen = box.width > 0 && box.bottom > 0 && box.top < innerHeight
    return [now.outerHTML, isSeen && style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 1]
}"""
# Han characters that no element around them says to be Chinese; who is called what, nobody has said.
STRAY_HAN = """() => {
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), stray = []
    while (walker.nextNode()) {
        const around = walker.currentNode.parentElement
        if (/\\p{Script=Han}/u.test(walker.currentNode.data) && !around.closest('address')
            && !around.closest('[lang]').lang.startsWith('zh')) stray.push(walker.currentNode.data.trim())
    }
    return stray
}"""
# Latin words, and names of languages, that stand on more than one line; addresses may.
BROKEN_WORDS = """() => {
    const broken = []
    for (const cell of document.querySelectorAll('table :is(th, td, time)')) {
        for (const node of cell.childNodes) {
            if (node.nodeType !== Node.TEXT_NODE) continue
            for (const word of node.data.matchAll(cell.lang ? /\\S+/g : /\\p{Script=Latin}+/gu)) {
                const range = document.createRange()
                range.setStart(node, word.index)
                range.setEnd(node, word.index + word[0].length)
                if (range.getClientRects().length > 1) broken.push(word[0])
            }
        }
    }
    return broken
}"""
Visit = Callable[..., Page]


@pytest.fixture
def visit(chromium: Browser, house: House) -> Iterator[Visit]:
    """Go to a room as a reader of this language; the browser has nothing to complain of there."""
    page = chromium.new_page(viewport=TELEPHONE)  # type: ignore[arg-type]
    complaints: list[tuple[str, str]] = []
    page.on("console", lambda message: complaints.append((message.location["url"], message.text)))

    def go(room: str, language: str) -> Page:
        key = house.staff | {"Accept": "text/html"} if room.startswith("receipts") else {}
        page.set_extra_http_headers({"Accept-Language": language} | key)
        page.emulate_media(color_scheme=THEMES[language])  # type: ignore[arg-type]
        answer = page.goto(house.base_url + house.rooms.get(room, room).format(language))
        assert answer and answer.status == ROOMS.get(room, 200)
        # Of a page with 404 or 410 Chromium tells the status.
        assert not [text for url, text in complaints if answer.ok or url != page.url], room
        return page

    yield go
    page.close()


def overflow(page: Page) -> int:
    """By how many pixels the page can be scrolled sideways."""
    return max(0, page.evaluate("document.documentElement.scrollWidth - innerWidth"))


@BOTH
@pytest.mark.parametrize("room", ROOMS)
def test_a_page_fits_a_telephone_and_shuts_nobody_out(visit: Visit, room: str, language: str) -> None:
    """No scrolling sideways, no fault that axe knows of, by day or by night, and Chinese is said to be Chinese."""
    page = visit(room, language)
    assert overflow(page) == 0
    assert page.title().strip(" –")
    found = Axe().run(page)
    assert not found.violations_count, found.generate_report()
    assert page.evaluate(STRAY_HAN) == []


@BOTH
@pytest.mark.parametrize("room", ["full", "/{}/", "/{}/feeds/", "receipts-corrected", "unsubscribe", "preview"])
def test_the_keyboard_reaches_every_control_and_one_sees_where_it_is(visit: Visit, room: str, language: str) -> None:
    page = visit(room, language)
    controls = page.locator("a[href], button, [tabindex='0']")
    stops = []
    # One stop more than there are controls leads out of the page: nothing is a trap.
    for _ in range(controls.count() + 1):
        page.keyboard.press("Tab")
        stops.append(page.evaluate(FOCUSED))
    assert stops.pop() is None
    assert {place for place, _ in stops} == set(controls.evaluate_all("all => all.map(each => each.outerHTML)"))
    assert [place for place, is_seen in stops if not is_seen] == []
    page.reload()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.tagName") == "MAIN"


@pytest.mark.parametrize("address", ["/feeds/{}.atom", "/feeds/{}.rss", "/feeds/{}/archive/1.atom"])
@BOTH
def test_who_opens_a_feed_reads_what_it_is(visit: Visit, address: str, language: str) -> None:
    page = visit(address, language)
    words = page.evaluate("getComputedStyle(document.documentElement, '::before').content")
    assert {"zh": "这是一个订阅源", "en": "This is a feed"}[language] in words
    assert overflow(page) == 0


def test_a_picture_that_is_opened_by_itself_fits_the_window(visit: Visit) -> None:
    """The browser's own page for it has styles in it, which our policy must let in."""
    width = visit("picture", "en").evaluate("document.images[0].getBoundingClientRect().width")
    assert 0 < width <= TELEPHONE["width"]


@BOTH
def test_whoever_has_the_address_of_a_preview_sees_its_pictures_and_the_banner_on_paper_too(
    visit: Visit, language: str
) -> None:
    page = visit("preview", language)
    picture = page.locator("figure img")
    picture.scroll_into_view_if_needed()
    # Asked again from outside: a page of ours lets nothing be evaluated that waits in it.
    expect(picture).to_have_js_property("naturalWidth", 1600)
    page.emulate_media(media="print")
    banner = page.locator(".preview")
    assert banner.is_visible() and banner.locator("p").count() == 4


@BOTH
def test_receipts_break_no_word_on_a_telephone_and_fit_on_paper(visit: Visit, language: str) -> None:
    page = visit("receipts-corrected", language)
    assert page.evaluate(BROKEN_WORDS) == []
    page.set_viewport_size(PAPER)  # type: ignore[arg-type]
    page.emulate_media(media="print")
    assert page.evaluate(BROKEN_WORDS) == []
    assert page.evaluate("document.querySelector('table').scrollWidth") <= PAPER["width"]
