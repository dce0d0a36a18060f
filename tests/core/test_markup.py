"""Whatever HTML arrives, it leaves harmless, in well-formed blocks, with every word of it in order."""

from __future__ import annotations

import html

import html5lib
import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from service.markup import is_too_deep, read_html
from service.text import paragraphs

BASE = "https://news.example"
WORDS = st.sampled_from(["a", "文字", "x y", " ", "\n", "&amp;", "&lt;b&gt;", "&nbsp;", "&#11;", "<br>", "1 < 2"])
TAGS = st.sampled_from([
    "div", "p", "h1", "h3", "b", "span", "a", "ul", "ol", "li", "dl", "dt", "dd", "table", "tr", "td", "th", "caption",
    "thead", "pre", "blockquote", "figure", "figcaption", "hr", "center", "section", "ruby", "rt", "foo", "o:p",
])
# Tags that open and close wherever it happens to be, as no editor would write them, nor any attack be kept from.
SOUP = st.lists(
    WORDS | TAGS.map("<{}>".format) | TAGS.map("</{}>".format)
    | st.sampled_from(["<img src=/x alt=y>", "<img>", "<a href=/x>", "<p lang=en>", "<!-- -->", "<table><b>"]),
    max_size=30,
).map("".join)
BLOCKS = {"p", "h2", "h3", "h4", "h5", "h6", "pre", "ul", "ol", "dl", "table", "blockquote", "figure", "hr"}
INLINE = {"a", "b", "span", "ruby", "rt", "br", "img"}


def clean(dirty: str) -> str:
    return read_html(dirty, BASE).html


def letters(text: str) -> list[str]:
    return regex.findall(r"[^\s\p{Cc}\uffff]", text)


@pytest.mark.parametrize("hostile", [
    "<script>steal()</script>", "<img src=x onerror=steal()>", "<a href='javascript:steal()'>x</a>",
    "<iframe src='https://evil.example'></iframe>", "<p style='x:expression(steal())'>x</p>",
    "<svg onload=steal()>", "<a href='data:text/html,steal()'>x</a>", "<form action='https://evil.example'>steal()",
])
def test_nothing_that_runs_survives(hostile: str) -> None:
    survived = clean(f"<p>before</p>{hostile}")
    for trace in ("script", "onerror", "onload", "iframe", "expression", "data:", "<form", "<svg"):
        assert trace not in survived


def test_the_elements_taken_out_are_named() -> None:
    assert read_html("<p>a</p><iframe></iframe><video>b</video>", BASE).losses.elements == ("iframe", "video")


def test_what_word_puts_round_a_text_is_no_loss() -> None:
    pasted = (
        "<html xmlns:o='urn:x'><head><meta name=Generator><title>Document1</title><style>p {}</style>"
        "<!--[if gte mso 9]><xml><w:View>Normal</w:View></xml><![endif]--></head><body lang=ZH-CN>"
        "<div class=WordSection1><p class=MsoNormal><font>近日<o:p></o:p></font></p></div></body></html>"
    )
    prose = read_html(pasted, BASE)
    assert (prose.html, prose.text, prose.losses.elements) == ("<p>近日</p>", "近日", ())


def test_relative_links_become_absolute() -> None:
    """Readers show the text far from our pages (RFC 3986 section 5)."""
    assert 'href="https://news.example/a"' in clean('<p><a href="/a">x</a></p>')


def test_a_link_that_leads_nowhere_leaves_its_words_and_is_told() -> None:
    dirty = "<p>Call <a href='tel:1'>the <b>desk</b></a> or <a name=x>here</a> <a href=/y>there</a></p>"
    prose = read_html(dirty, BASE)
    assert prose.html == (
        '<p>Call the <b>desk</b> or here <a href="https://news.example/y" rel="noopener noreferrer">there</a></p>'
    )
    assert prose.losses.links == ("the desk",)


def test_a_picture_without_an_address_is_left_out_and_told_by_its_text_or_number() -> None:
    prose = read_html("<p>a<img src=/x><img src='data:x'><img src='file:///c' alt=' Our logo '></p>", BASE)
    assert prose.html == '<p>a<img src="https://news.example/x"></p>'
    assert prose.losses.pictures == ("#2", "Our logo")


@pytest.mark.parametrize("empty", ["", " ", "&#10;", "&#1;", "#", "#notes", " #notes"])
def test_an_address_of_nothing_leads_nowhere_rather_than_to_our_home_page(empty: str) -> None:
    prose = read_html(f"<p>a <a href='{empty}'>b</a> <img src='{empty}' alt=c></p>", BASE)
    assert (prose.html, prose.losses.links, prose.losses.pictures) == ("<p>a b</p>", ("b",), ("c",))


def test_a_link_to_our_home_page_stays_one() -> None:
    assert 'href="https://news.example/"' in clean('<p><a href="/">x</a></p>')


def test_inline_html_becomes_a_paragraph() -> None:
    assert clean("just <b>words</b>") == "<p>just <b>words</b></p>"


@pytest.mark.parametrize(("dirty", "expected"), [
    ("Loose <div>in div</div><div>another</div> tail", "<p>Loose</p>\n<p>in div</p>\n<p>another</p>\n<p>tail</p>"),
    ("<center>x</center><div><p>a</p>b</div>", "<p>x</p>\n<p>a</p>\n<p>b</p>"),
    ("<section lang=en>x<div dir=ltr>y</div></section>", '<p lang="en">x</p>\n<p lang="en" dir="ltr">y</p>'),
    ("<b>x<div>y</div></b>z", "<p><b>x</b></p>\n<p><b>y</b></p>\n<p>z</p>"),
    ("<b>x</b> <i>y</i>", "<p><b>x</b> <i>y</i></p>"),
    ("<div><br></div><p>&nbsp;</p><p>x</p>", "<p>x</p>"),
    ("<li>x</li><dd>y</dd>", "<p>x</p>\n<p>y</p>"),
    ("<ul>x<li><div>y</div></li></ul>", "<ul><li>x</li><li>y</li></ul>"),
    ("<ol><li>z<p>v</p>w</li></ol>", "<ol><li><p>z</p><p>v</p><p>w</p></li></ol>"),
    ("<blockquote>x<div>y</div></blockquote>", "<blockquote><p>x</p><p>y</p></blockquote>"),
    ("<table><tr><td><div>x</div><td></table>", "<table><tbody><tr><td>x</td><td></td></tr></tbody></table>"),
    ("<a href=/x><figure><img src=/y></figure></a>",
     '<figure><a href="https://news.example/x" rel="noopener noreferrer"><img src="https://news.example/y"></a></figure>'),
    ("<pre>\n\n\n x\n</pre>", "<pre> x\n</pre>"),
    ("<h3><div>x</div><p>y</p></h3>", "<h3>x</h3>\n<h3>y</h3>"),
])
def test_blocks_become_paragraphs_and_nothing_is_glued(dirty: str, expected: str) -> None:
    assert clean(dirty) == expected


def test_a_heading_is_never_the_pages_own() -> None:
    assert clean("<h1>x</h1><h2>y</h2>") == "<h2>x</h2>\n<h2>y</h2>"


@pytest.mark.parametrize(("dirty", "expected"), [
    ("<h2>一</h2>\n<p>二 &amp;\n 三<br>四</p><ul><li>五</li><li>六</li></ul>", "一\n\n二 & 三\n四\n\n五\n\n六"),
    ("<table><tr><td>A</td><td>B</td></tr></table><p>Text</p>", "A\tB\n\nText"),
    ("x<table><caption>T</caption><tr><th>A<th>B<tr><td><td> 1 <p>2</p><br>3<td><tr><td>C</table>y",
     "x\n\nT\n\nA\tB\n\t1 2 3\t\nC\n\ny"),
    ("<table><tr><td>a<table><tr><td>b<td>c<tr><td>d</table><td>e</table>", "a b c d\te"),
    ("<pre>\n def f():\n    return 1\n\n\n# end\n</pre><p>x", " def f():\n    return 1\n\n\n# end\n\nx"),
    ("<ol><li>x<ol><li>y</ol><li>z</ol>", "x\n\ny\n\nz"),
    ("a<br><br><br>b <br> c", "a\n\nb\nc"),
    ("<b>a</b><hr><i>b</i>c", "a\n\nbc"),
    ("<pre><b>x</b>\ny</pre>", "x\ny"),
])
def test_plain_text_keeps_the_order_the_rows_and_the_lines(dirty: str, expected: str) -> None:
    assert read_html(dirty, BASE).text == expected


@pytest.mark.parametrize(("dirty", "lead"), [
    ("<h2>Background</h2><p>News.</p><p>More.</p>", "News."),
    ("<table><tr><td><p>A</p></table><p>News.</p>", "News."),
    ("<p>&#8203;<img src=/x></p><div>News.</div>", "News."),
    ("<h2>Background</h2>", ""),
])
def test_the_lead_is_the_first_paragraph_of_prose(dirty: str, lead: str) -> None:
    assert read_html(dirty, BASE).lead == lead


def test_no_reference_brings_in_what_xml_can_not_carry() -> None:
    assert clean("a&#11;b&#xFFFF;") == "<p>ab</p>"


@settings(deadline=None)
@given(SOUP)
def test_cleaning_twice_changes_nothing_more(dirty: str) -> None:
    """What was cleaned once is stable, so a correction that resends it is no change."""
    once = read_html(dirty, BASE)
    again = read_html(once.html, BASE)
    assert (again.html, again.text) == (once.html, once.text)


@settings(max_examples=300, deadline=None)
@given(SOUP)
def test_every_word_is_kept_in_order_in_a_block_of_its_own(dirty: str) -> None:
    """Text that stands loose in a table is moved before it, as browsers do; else nothing is."""
    prose = read_html(dirty, BASE)
    tree = html5lib.parseFragment(prose.html, namespaceHTMLElements=False)
    assert letters(prose.text) == letters("".join(tree.itertext()))
    words = letters(html.unescape(regex.sub(r"<[^<>\s][^<>]*>", "", dirty)))
    assert sorted(words) == sorted(letters(prose.text))
    assert words == letters(prose.text) or "<table>" in dirty
    assert {element.tag for element in tree} <= BLOCKS
    for paragraph in (*tree.iter("p"), *tree.iter("h2"), *tree.iter("h3")):
        assert {element.tag for element in paragraph.iter()} - {paragraph.tag} <= INLINE


@given(st.lists(st.sampled_from(["a", "b c", "文"]), min_size=1), st.sampled_from(["div", "p", "center", "section"]))
def test_as_many_paragraphs_leave_as_came(words: list[str], tag: str) -> None:
    prose = read_html("".join(f"<{tag}>{word}</{tag}>" for word in words), BASE)
    assert paragraphs(prose.text) == words


@pytest.mark.parametrize(("markup", "too_deep"), [
    ("<div>" * 201, True), ("<div>" * 200, False), ("<p-x><P-X>" * 101, True), ("<svg><tr>" * 101, True),
    ("<p>one<p>two<br><li>three" * 300, False), ("1 < 2" * 300, False), ("</div>" * 300 + "<div>", False),
    ("<x><div></x></div>" * 201, True), ("<div><b>x</b></div>" * 3000, False),
    ("<b>" * 50 + "<p>x" * 5000, True), ("<b>" * 50 + "<p>x" * 500, False), ("<p><b>x</p>" * 500, True),
])
def test_depth_is_what_stays_open(markup: str, too_deep: bool) -> None:
    assert is_too_deep(markup) == too_deep


@settings(deadline=None)
@given(SOUP)
def test_what_is_not_too_deep_exhausts_neither_stack_nor_parser(dirty: str) -> None:
    deep = dirty * 60
    assert is_too_deep(deep) or letters(clean(deep)) is not None
