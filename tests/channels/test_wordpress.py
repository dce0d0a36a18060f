"""A WordPress site gets one post for each language, and keeps in step with us, whatever is repeated or cut off."""

from __future__ import annotations

import dataclasses
import html
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Response

from service.clock import new_id
from service.model import Channel, Claim, EventType, Release, ReleaseMedium, Secret
from tests.channels.conftest import TAGS, Serve
from tests.media import TAKEN
from tests.services.wordpress import WordPress, start_wordpress, why_not
from tests.services.wordpress_standin import StandIn, start_standin
from workers.outbound import Request

PUBLISHED, CORRECTED, WITHDRAWN = (
    EventType.RELEASE_PUBLISHED, EventType.RELEASE_CORRECTED, EventType.RELEASE_WITHDRAWN,
)
ANY = "status=publish,draft,private,trash"
Owe = Callable[..., Claim]


@pytest.fixture(scope="session")
def standin() -> Iterator[StandIn]:
    with start_standin() as running:
        yield running


@pytest.fixture(scope="session", params=["real", "standin"])
def wordpress(request: pytest.FixtureRequest, standin: StandIn) -> Iterator[WordPress]:
    """The real one, and what stands for it where it can't be had."""
    if request.param == "standin":
        yield standin
        return
    if reason := why_not():
        pytest.skip(f"no real WordPress: {reason}")
    with start_wordpress() as running:
        yield running


@pytest.fixture
def owe(wordpress: WordPress, claim_of: Callable[..., Claim]) -> Owe:
    return owe_to(wordpress, claim_of)


@pytest.fixture
def owe_standin(standin: StandIn, claim_of: Callable[..., Claim]) -> Owe:
    return owe_to(standin, claim_of)


def owe_to(wordpress: WordPress, claim_of: Callable[..., Claim]) -> Owe:
    """A delivery to the site, in the name of an editor unless another is given."""

    def make(release: Release, type: EventType = PUBLISHED, *, username: str = "editor", **more: Any) -> Claim:
        settings = {"username": username, "categories_map": {"visits": 1}} | more.pop("settings", {})
        password = more.pop("secret", None) or wordpress.passwords[username]
        site = {"channel": Channel.WORDPRESS, "callback": wordpress.api, "secret": Secret(password)}
        return claim_of(release, type, settings=settings, **site, **more)

    return make


def posts_of(wordpress: WordPress, release: Release) -> dict[str, Any]:
    """By language; the test fails where there are two of one."""
    found = wordpress.ask(f"posts?search=diglot-{release.id}&{ANY}&context=edit&per_page=50")
    posts = {re.search(r'lang="([^"]+)"', post["content"]["raw"])[1]: post for post in found}
    assert len(posts) == len(found), "a language has two posts"
    return posts


def media_of(wordpress: WordPress, release: Release) -> list[Any]:
    [medium] = [medium for medium in release.media if medium.media_id]
    return [found for found in wordpress.ask("media?per_page=100") if str(medium.media_id) in found["slug"]]


@pytest.mark.parametrize("username", ["editor", "author"])
def test_a_release_is_a_post_in_each_language_with_its_picture_category_and_text(
    wordpress: WordPress, release: Release, owe: Owe, serve: Serve, username: str
) -> None:
    own = dict.fromkeys(release.categories, wordpress.categories["Visits"])
    answer = serve(owe(release, username=username, settings={"categories_map": own}))
    assert (answer.status, answer.error) == (200, None)
    posts = posts_of(wordpress, release)
    assert set(posts) == set(TAGS)
    for tag, post in posts.items():
        edition = release.edition(tag)
        assert post["status"] == "publish"
        assert html.unescape(post["title"]["raw"]) == edition.headline
        assert html.unescape(post["excerpt"]["raw"]) == edition.summary
        assert post["categories"] == [wordpress.categories["Visits"]]
        picture = wordpress.ask(f"media/{post['featured_media']}?context=edit")
        [alt] = [medium.alt[tag] for medium in release.media if medium.media_id]
        [credit] = [medium.credit[tag] for medium in release.media if medium.media_id]
        assert (html.unescape(picture["alt_text"]), picture["caption"]["raw"]) == (alt, credit)
        assert picture["post"] == post["id"]
        page = wordpress.read(post["link"])
        assert edition.body_html.splitlines()[0] in page
        assert picture["source_url"].rsplit(".", 1)[0].rsplit("/", 1)[1] in page
    assert 'src="https://cdn.example/far.png" alt="Far &lt;away&gt;">' in wordpress.read(posts["en"]["link"])
    assert '<a href="https://cdn.example/report.pdf">The report</a>' in wordpress.read(posts["en"]["link"])


def test_a_repeat_cut_off_anywhere_makes_no_second_post_or_picture(
    wordpress: WordPress, release: Release, owe: Owe, serve: Serve
) -> None:
    """As if the courier were killed after each answer of the site in turn, before anything is on record."""
    claim, answers = owe(release), 1
    while serve(claim, answers=answers) is None:
        answers += 1
    assert answers > 4 * len(TAGS)
    posts = posts_of(wordpress, release)
    assert sorted(post["status"] for post in posts.values()) == ["publish", "publish"]
    assert len(media_of(wordpress, release)) == len(TAGS)


def test_nothing_is_public_before_all_languages_and_pictures_are_there(
    wordpress: WordPress, release: Release, owe: Owe, serve: Serve
) -> None:
    asked: list[Request] = []
    serve(owe(release), asked=asked)
    made = [request for request in asked if request.method == "POST"]
    publishes = [b'"status": "publish"' in request.body for request in made]
    assert publishes == sorted(publishes) and publishes.count(True) == len(TAGS)


def test_a_correction_changes_the_same_posts_and_pictures(
    wordpress: WordPress, release: Release, owe: Owe, serve: Serve
) -> None:
    serve(owe(release))
    before = posts_of(wordpress, release)
    editions = tuple(dataclasses.replace(edition, headline=f"{edition.headline} 2") for edition in release.editions)
    [picture, *others] = release.media
    media = (dataclasses.replace(picture, alt={**picture.alt, "en": "A crane alone"}), *others)
    corrected = dataclasses.replace(release, editions=editions, media=media, revision=2)
    assert serve(owe(corrected, CORRECTED)).status == 200
    after = posts_of(wordpress, release)
    assert {tag: post["id"] for tag, post in after.items()} == {tag: post["id"] for tag, post in before.items()}
    assert all(post["title"]["raw"].endswith(" 2") for post in after.values())
    assert wordpress.ask(f"media/{after['en']['featured_media']}")["alt_text"] == "A crane alone"
    assert len(media_of(wordpress, release)) == len(TAGS)


def test_a_picture_that_a_correction_takes_out_is_shown_no_more(
    wordpress: WordPress, release: Release, owe: Owe, serve: Serve
) -> None:
    serve(owe(release))
    serve(owe(dataclasses.replace(release, media=()), CORRECTED))
    for post in posts_of(wordpress, release).values():
        assert post["featured_media"] == 0
        assert "<img" not in wordpress.read(post["link"])


def test_a_language_that_a_correction_no_longer_brings_goes_to_the_trash(
    wordpress: WordPress, release: Release, owe: Owe, serve: Serve
) -> None:
    serve(owe(release))
    english = dataclasses.replace(release, editions=release.editions[1:])
    assert serve(owe(english, CORRECTED)).status == 200
    assert {tag: post["status"] for tag, post in posts_of(wordpress, release).items()} == {
        "zh-Hans": "trash", "en": "publish",
    }


def test_a_withdrawal_puts_every_post_in_the_trash_once_and_again(
    wordpress: WordPress, release: Release, owe: Owe, serve: Serve
) -> None:
    serve(owe(release))
    for _ in range(2):
        assert serve(owe(release, WITHDRAWN)).status == 200
        assert {post["status"] for post in posts_of(wordpress, release).values()} == {"trash"}


def test_a_withdrawal_of_what_the_site_never_had_is_done_at_once(release: Release, owe: Owe, serve: Serve) -> None:
    assert serve(owe(release, WITHDRAWN)).status == 200


def test_what_the_sites_editor_did_with_a_post_is_left_so(
    wordpress: WordPress, release: Release, owe: Owe, serve: Serve
) -> None:
    """Of one post the slug is changed and it is made private, the other is thrown away: neither comes again."""
    serve(owe(release))
    posts = posts_of(wordpress, release)
    wordpress.ask(f"posts/{posts['en']['id']}", "POST", {"slug": f"mine-{release.slug}", "status": "private"})
    wordpress.ask(f"posts/{posts['zh-Hans']['id']}", "DELETE")
    editions = tuple(dataclasses.replace(edition, headline=f"{edition.headline} 2") for edition in release.editions)
    assert serve(owe(dataclasses.replace(release, editions=editions), CORRECTED)).status == 200
    after = posts_of(wordpress, release)
    assert [after[tag]["title"]["raw"].endswith(" 2") for tag in TAGS] == [False, True]
    assert {tag: (post["id"], post["status"]) for tag, post in after.items()} == {
        "en": (posts["en"]["id"], "private"), "zh-Hans": (posts["zh-Hans"]["id"], "trash"),
    }
    assert after["en"]["slug"] == f"mine-{release.slug}"


@pytest.mark.parametrize(("username", "secret", "status"), [
    ("editor", "wrong", 401), ("nobody", "wrong", 401), ("contributor", None, 403),
])
def test_who_may_not_write_is_told_so_and_leaves_nothing_public(
    wordpress: WordPress, release: Release, owe: Owe, serve: Serve, username: str, secret: str | None, status: int
) -> None:
    assert serve(owe(release, username=username, secret=secret)).status == status
    assert "publish" not in {post["status"] for post in posts_of(wordpress, release).values()}


def test_a_picture_that_the_site_does_not_take_or_we_no_longer_have_is_shown_from_here(
    wordpress: WordPress, release: Release, owe: Owe, serve: Serve, folder: Path
) -> None:
    avif = new_id()
    (folder / f"{avif.hex}.avif").write_bytes(TAKEN["image/avif"])
    media = (
        ReleaseMedium(url=f"/media/{avif.hex}.avif", type="image/avif", media_id=avif),
        ReleaseMedium(url="/media/gone.jpg", type="image/jpeg", media_id=new_id()),
    )
    assert serve(owe(dataclasses.replace(release, media=media))).status == 200
    post = posts_of(wordpress, release)["en"]
    page = wordpress.read(post["link"])
    assert post["featured_media"] == 0
    assert f"/media/{avif.hex}.avif" in page and "/media/gone.jpg" in page


def test_no_text_of_ours_is_code_on_the_site(
    wordpress: WordPress, release: Release, owe: Owe, serve: Serve
) -> None:
    """Titles are text, and what stands in square brackets is no shortcode."""
    edition = dataclasses.replace(
        release.editions[1], headline="A <script>alert(1)</script> & [gallery]", summary="<b>x</b> & y",
        body_html='<p>[caption id=9]It[/caption] [gallery ids=1]</p>', dateline="<i>HARBOUR</i>",
    )
    hostile = dataclasses.replace(release, editions=(edition,), media=())
    assert serve(owe(hostile)).status == 200
    page = wordpress.read(posts_of(wordpress, release)["en"]["link"])
    assert "<script" not in page and "<i>" not in page
    assert "[caption id=9]It[/caption] [gallery ids=1]" in html.unescape(page)


def test_posts_are_linked_as_translations_where_polylang_answers(
    wordpress: WordPress, release: Release, owe: Owe, serve: Serve
) -> None:
    with wordpress.polylang():
        for type in (PUBLISHED, CORRECTED):
            assert serve(owe(release, type)).status == 200
            posts = posts_of(wordpress, release)
            ids = {"zh": posts["zh-Hans"]["id"], "en": posts["en"]["id"]}
            assert [posts[tag]["lang"] for tag in TAGS] == ["zh", "en"]
            assert [posts[tag]["translations"] for tag in TAGS] == [ids, ids]


def test_a_test_proves_the_password_and_writes_nothing(
    wordpress: WordPress, release: Release, owe: Owe, serve: Serve
) -> None:
    ping = json.dumps({"type": "subscription.test", "data": {}}).encode()
    asked: list[Request] = []
    assert serve(owe(release, body=ping), asked=asked).status == 200
    assert serve(owe(release, body=ping, secret="wrong")).status == 401
    assert [request.method for request in asked] == ["GET"]


ANSWERS = {
    "busy": Response("{}", 503, {"Retry-After": "120"}),
    "html": Response("<html>welcome", 200),
    "lie": Response('{"id": "1; DROP", "status": []}', 201, {"Content-Type": "application/json"}),
    "lies": Response('[{"id": "1; DROP", "status": []}]', 200, {"Content-Type": "application/json"}),
    "deep": Response("[" * 100_000, 200),
    "long": Response("[" + "1," * 20_000 + "1]", 200),
    "moved": Response("", 301, {"Location": "https://elsewhere.example/"}),
}


@pytest.mark.parametrize(("name", "status", "error"), [
    ("busy", 503, None), ("moved", 301, None), ("html", None, "not_wordpress"), ("lie", None, "not_wordpress"),
    ("lies", None, "not_wordpress"), ("deep", None, "not_wordpress"), ("long", None, "not_wordpress"),
])
@pytest.mark.parametrize("where", ["posts", "media", "pll/v1/languages"])
def test_whatever_a_site_says_instead_is_tried_again_and_never_believed(
    standin: StandIn, release: Release, owe_standin: Owe, serve: Serve, name: str, status: int | None,
    error: str | None, where: str,
) -> None:
    standin.answer = lambda _method, route: ANSWERS[name] if route.endswith(where) else None
    response = serve(owe_standin(release))
    standin.answer = lambda _method, _route: None
    if (where, name) not in HARMLESS:
        assert (response.status, response.error) == (status, error)
        assert "publish" not in {post["status"] for post in posts_of(standin, release).values()}
    assert serve(owe_standin(release)).status == 200
    assert {post["status"] for post in posts_of(standin, release).values()} == {"publish"}
    assert len(media_of(standin, release)) == len(TAGS)


# That there are no languages is an answer too.
HARMLESS = {("pll/v1/languages", name) for name in ("moved", "lie", "lies")}


@pytest.mark.parametrize(("status", "then"), [(410, "publish"), (404, "publish"), (501, "draft")])
def test_a_site_whose_trash_is_not_as_usual_is_no_lost_partner(
    standin: StandIn, release: Release, owe_standin: Owe, serve: Serve, status: int, then: str
) -> None:
    """410 says here that the post is in the trash already, not that the partner wants no more."""
    serve(owe_standin(release))
    standin.answer = lambda method, _route: Response("{}", status) if method == "DELETE" else None
    response = serve(owe_standin(release, WITHDRAWN))
    standin.answer = lambda _method, _route: None
    assert response.status == 200
    assert {post["status"] for post in posts_of(standin, release).values()} == {then}


@pytest.mark.parametrize("status", [400, 403, 413, 415])
def test_a_picture_that_is_refused_holds_up_no_text(
    standin: StandIn, release: Release, owe_standin: Owe, serve: Serve, status: int
) -> None:
    standin.answer = lambda method, route: Response("{}", status) if (method, route[-5:]) == ("POST", "media") else None
    assert serve(owe_standin(release)).status == 200
    standin.answer = lambda _method, _route: None
    posts = posts_of(standin, release)
    assert {post["status"] for post in posts.values()} == {"publish"}
    assert "/media/" in standin.read(posts["en"]["link"])


def test_the_post_of_one_language_is_not_taken_for_that_of_a_narrower_one(
    wordpress: WordPress, release: Release, owe: Owe, serve: Serve
) -> None:
    """A site that looks for `…-en` finds `…-en-gb` too."""
    message = json.loads(owe(release, PUBLISHED).body)
    english = message["data"]["release"]["editions"]["en"]
    for type in ("release.published", "release.corrected"):
        editions = {tag: english | {"headline": f"{tag} {type}"} for tag in ("en-GB", "en")}
        message |= {"type": type, "data": {"release": message["data"]["release"] | {"editions": editions}}}
        assert serve(owe(release, PUBLISHED, body=json.dumps(message).encode())).status == 200
        posts = wordpress.ask(f"posts?search=diglot-{release.id}&{ANY}&context=edit&per_page=50")
        titles = {re.search(r'lang="([^"]+)"', post["content"]["raw"])[1]: post["title"]["raw"] for post in posts}
        assert titles == {tag: f"{tag} {type}" for tag in editions} and len(posts) == 2
