"""/v1/releases/{id}/…: a release's life over HTTP, and what readers are told of it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from service import keys
from service.edge import Services
from service.model import Role
from tests.api.desk import Desk
from tests.conftest import StoppedClock, bearer

BOTH = ("zh-Hans", "en")
REASON = {"zh-Hans": "内容有误。", "en": "An error."}


def codes(answer: Any) -> list[tuple[str, str]]:
    return [(error["pointer"], error["code"]) for error in answer.json["errors"]]


# Revisions and their preconditions


@pytest.mark.parametrize("name", ["publish", "schedule", "unschedule", "withdraw"])
def test_a_move_heeds_the_revision_that_it_was_decided_on(desk: Desk, clock: StoppedClock, name: str) -> None:
    release = desk.post(**({"status": "draft"} if name in ("publish", "schedule") else {}))
    if name == "unschedule":
        release = desk.post(publish_at=(clock() + timedelta(hours=1)).isoformat(timespec="seconds"))
    body = {"withdraw": {"reason": REASON}, "schedule": {"publish_at": "2030-01-01T00:00:00Z"}}.get(name)
    late = desk.move(release, name, body, if_match='"9"')
    assert (late.status_code, late.json["code"]) == (412, "precondition_failed")
    assert desk.move(release, name, body, if_match='"1"').status_code == 200


@pytest.mark.parametrize(("language", "title"), [("en", "behind"), ("zh", "没有一并更正")])
def test_a_correction_that_leaves_a_language_behind_names_it(desk: Desk, language: str, title: str) -> None:
    release = desk.post()
    answer = desk.put(release, desk.reworded("zh-Hans"), accept_language=language)
    assert (answer.status_code, answer.json["code"]) == (409, "stale_siblings")
    assert codes(answer) == [("/editions/en", "left_behind")]
    assert answer.headers["Content-Language"] == language
    assert title in answer.json["title"], answer.json["title"]
    kept = desk.put(release, desk.reworded("zh-Hans", siblings="unaffected"))
    assert (kept.status_code, kept.json["unaffected"]) == (200, ["en"])


def test_a_correction_keeps_every_language_and_the_public_address(desk: Desk) -> None:
    release = desk.post()
    alone = desk.reworded(*BOTH)
    del alone["editions"]["en"]
    assert codes(desk.put(release, alone)) == [("/editions/en", "missing_edition")]
    moved = desk.put(release, desk.reworded(*BOTH, slug="elsewhere"))
    assert (moved.status_code, codes(moved)) == (422, [("/slug", "slug_fixed")])
    assert desk.put(release, desk.reworded(*BOTH, slug=release["slug"])).status_code == 200


def test_the_address_of_a_draft_may_change_but_not_to_one_that_is_taken(desk: Desk) -> None:
    other, draft = desk.post(), desk.post(status="draft")
    assert desk.put(draft, desk.reworded(slug="elsewhere")).json["slug"] == "elsewhere"
    assert codes(desk.put(draft, desk.reworded(slug=other["slug"]))) == [("/slug", "slug_taken")]


def test_a_note_is_shown_on_the_page_in_the_right_language(desk: Desk, swap: Any) -> None:
    release = desk.post()
    swap()
    desk.put(release, desk.reworded(*BOTH, change_note={"zh-Hans": "更正<日期>。", "en": "A date & a <name>."}))
    pages = [f"/{name}/releases/{release['slug']}" for name in ("zh", "en")]
    assert "A date" not in desk.get(pages[1]).text, "nothing shows before the swap"
    swap()
    assert '<span lang="zh-Hans">更正&lt;日期&gt;。</span>' in desk.get(pages[0]).text
    assert '<span lang="en">A date &amp; a &lt;name&gt;.</span>' in desk.get(pages[1]).text
    desk.put(release, desk.reworded(*BOTH, categories=["events"], change_note={"en": "Only in English."}))
    swap()
    assert '<span lang="en">Only in English.</span>' in desk.get(pages[0]).text


def test_words_to_readers_are_in_the_languages_of_the_release_and_the_missing_are_told(desk: Desk) -> None:
    release = desk.post()
    foreign = desk.put(release, desk.reworded(*BOTH, change_note={"fr": "x", "tlh": "y"}))
    assert codes(foreign) == [(f"/change_note/{tag}", "unknown_language") for tag in ("fr", "tlh")]
    foreign = desk.move(release, "withdraw", {"reason": {"fr": "x", "en": "A mistake."}})
    assert codes(foreign) == [("/reason/fr", "unknown_language")]
    half = desk.put(release, desk.reworded(*BOTH, change_note={"en": "A date."}))
    assert [(w["pointer"], w["code"]) for w in half.json["warnings"]] == [("/change_note/zh-Hans", "note_missing")]
    whole = desk.put(release, desk.reworded(*BOTH, change_note={"en": "A date.", "zh-Hans": "日期。"}, categories=[]))
    assert whole.json["warnings"] == []
    gone = desk.move(release, "withdraw", {"reason": {"zh-Hans": "有误。"}})
    assert [(w["pointer"], w["code"]) for w in gone.json["warnings"]] == [("/reason/en", "note_missing")]


def test_a_new_note_alone_is_a_correction_and_its_repeat_is_none(desk: Desk, swap: Any) -> None:
    release = desk.post()
    swap()
    words = desk.reworded(*BOTH, change_note={"zh-Hans": "日期。", "en": "A date."})
    assert desk.put(release, words).json["revision"] == 2
    words["change_note"]["en"] = "A date and a place."
    renamed = desk.put(release, words).json
    assert (renamed["revision"], renamed["change_note"]["en"]) == (3, "A date and a place.")
    assert desk.put(release, words).json["revision"] == 3
    del words["change_note"]
    assert desk.put(release, words).json["revision"] == 3, "no note says nothing new"


# Schedules


def test_a_fraction_of_a_second_is_refused_for_what_it_is(desk: Desk) -> None:
    answer = desk.move(desk.post(status="draft"), "schedule", {"publish_at": "2026-12-01T09:00:00.5Z"})
    assert codes(answer) == [("/publish_at", "wrong_moment")]
    assert "fraction" in answer.text or "小数" in answer.text


@pytest.mark.parametrize(("text", "instant"), [
    ("2026-12-01T09:00:00+08:00", "2026-12-01T01:00:00.000Z"), ("2026-12-01t09:00:00z", "2026-12-01T09:00:00.000Z"),
    ("2026-12-01T09:00:00-00:00", "2026-12-01T09:00:00.000Z"),
    # As we tell it ourselves, and as JavaScript writes it.
    ("2026-12-01T09:00:00.000Z", "2026-12-01T09:00:00.000Z"),
    ("2028-02-29T23:59:59+14:00", "2028-02-29T09:59:59.000Z"),
    ("2999-12-31T23:59:59-23:59", "3000-01-01T23:58:59.000Z"),
])
def test_a_moment_is_understood_with_its_zone(desk: Desk, text: str, instant: str) -> None:
    release = desk.post(publish_at=text)
    assert (release["state"], release["publish_at"]) == ("scheduled", instant)
    again = desk.move(desk.post(status="draft"), "schedule", {"publish_at": text})
    assert (again.json["state"], again.json["publish_at"]) == ("scheduled", instant)


@pytest.mark.parametrize("text", [
    "2026-12-31T23:59:60Z", "2026-12-01T09:00:00", "2026-12-01", "2026-12-01 09:00:00Z", "2026-12-01T09:00Z",
    "2026-12-01T09:00:00.5Z", "2026-02-30T09:00:00Z", "2026-12-01T24:00:00Z", "2026-12-01T09:00:00+24:00",
    "2026-12-01T09:00:00+0800", "0001-01-01T00:00:00+23:00", "9999-12-31T23:59:59-23:00", "soon", "", 1796112000, None,
    "２０２６-12-01T09:00:00Z", "2026-12-01T09:00:00Z\n",
])
def test_what_is_no_moment_is_refused_at_its_place(desk: Desk, text: Any) -> None:
    for answer in (
        desk.ask("POST", "/v1/releases", desk.document | {"publish_at": text}),
        desk.move(desk.post(status="draft"), "schedule", {"publish_at": text}),
    ):
        assert answer.status_code == 422
        assert {pointer for pointer, _ in codes(answer)} == {"/publish_at"}


def test_the_past_is_no_schedule_and_a_draft_has_none(desk: Desk) -> None:
    past = {"publish_at": "2026-11-24T08:00:00Z"}
    draft = desk.post(status="draft")
    for answer in (desk.ask("POST", "/v1/releases", desk.document | past), desk.move(draft, "schedule", past)):
        assert codes(answer) == [("/publish_at", "in_the_past")]
    both = desk.document | {"status": "draft", "publish_at": "2030-01-01T00:00:00Z"}
    assert codes(desk.ask("POST", "/v1/releases", both)) == [("/publish_at", "draft_with_publish_at")]


def test_a_schedule_is_moved_taken_back_and_overtaken(desk: Desk) -> None:
    release = desk.post(publish_at="2030-01-01T00:00:00Z")
    assert desk.move(release, "schedule", {"publish_at": "2031-01-01T00:00:00Z"}).json["publish_at"][:4] == "2031"
    draft = desk.move(release, "unschedule").json
    assert (draft["state"], draft["publish_at"]) == ("draft", None)
    assert desk.move(release, "publish").json["state"] == "published"


# Withdrawals


def test_a_withdrawn_page_says_why_and_nothing_of_its_text(desk: Desk, swap: Any) -> None:
    release = desk.post()
    swap()
    assert desk.move(release, "withdraw", {"reason": REASON}).json["state"] == "withdrawn"
    paths = {tag: f"/{name}/releases/{release['slug']}" for tag, name in (("zh-Hans", "zh"), ("en", "en"))}
    assert desk.get(paths["en"]).status_code == 200, "gone from everywhere at once, with the swap"
    swap()
    for tag, path in paths.items():
        page, edition = desk.get(path), release["editions"][tag]
        assert page.status_code == 410
        assert REASON[tag] in page.text and 'name="robots" content="noindex"' in page.text
        for part in ("headline", "summary", "dateline"):
            assert not edition[part] or edition[part] not in page.text
        assert all(line not in page.text for line in edition["body_text"].split("\n") if line)
        assert not any(contact["name"] in page.text for contact in release["contacts"])


@pytest.mark.parametrize("document", [
    {}, {"reason": {}}, {"reason": {"en": " \n"}}, {"reason": {"en": "\u0000"}}, {"reason": "An error."},
    {"reason": {"not a tag": "x"}}, {"reason": REASON, "superseded_by": "soon"}, {"reason": REASON, "more": 1}, [], 1,
])
def test_a_withdrawal_needs_its_reason(desk: Desk, document: Any) -> None:
    release = desk.post()
    answer = desk.move(release, "withdraw", document)
    assert answer.status_code == 422
    assert desk.get(f"/v1/releases/{release['id']}").json["state"] == "published"


def test_only_another_public_release_takes_its_place(desk: Desk) -> None:
    release, draft, gone = desk.post(), desk.post(status="draft"), desk.post()
    desk.move(gone, "withdraw", {"reason": REASON})
    unknown = "01990000-0000-7000-8000-00000000dead"
    for successor in (release["id"], draft["id"], gone["id"], unknown):
        answer = desk.move(release, "withdraw", {"reason": REASON, "superseded_by": successor})
        assert codes(answer) == [("/superseded_by", "no_successor")]


def test_pages_lead_from_release_to_release_until_one_is_there(desk: Desk, swap: Any) -> None:
    first, second, third = (desk.post() for _ in range(3))
    swap()
    for release, successor in ((first, second), (second, third)):
        desk.move(release, "withdraw", {"reason": REASON, "superseded_by": successor["id"]})
    swap()
    for name in ("zh", "en"):
        answer = desk.client.get(f"/{name}/releases/{first['slug']}", follow_redirects=True)
        assert [step.status_code for step in answer.history] == [301, 301]
        assert answer.status_code == 200
        assert answer.request.path == f"/{name}/releases/{third['slug']}"
    desk.move(third, "withdraw", {"reason": REASON})
    swap()
    assert desk.client.get(f"/en/releases/{first['slug']}", follow_redirects=True).status_code == 410


# What became of it


def test_revisions_are_listed_in_pages_newest_first(desk: Desk) -> None:
    release = desk.post()
    for number in range(2, 6):
        desk.put(release, desk.reworded(*BOTH, contacts=[{"name": f"Desk {number}"}]))
    url, numbers = f"/v1/releases/{release['id']}/revisions?limit=2", []
    while url:
        page = desk.get(url.removeprefix("http://127.0.0.1:8080")).json
        numbers += [revision["number"] for revision in page["items"]]
        url = page["next"]
    assert numbers == [5, 4, 3, 2, 1]
    third = desk.get(f"/v1/releases/{release['id']}/revisions/3").json
    assert (third["number"], third["contacts"]) == (3, [{"name": "Desk 3"}])


@pytest.mark.parametrize("number", ["0", "6", "99999999999999999999999"])
def test_a_revision_that_never_was_is_not_found(desk: Desk, number: str) -> None:
    release = desk.post()
    answer = desk.get(f"/v1/releases/{release['id']}/revisions/{number}")
    assert (answer.status_code, answer.json["code"]) == (404, "not_found")


@pytest.mark.parametrize(("query", "pointer"), [
    ("cursor=99999999999999999999999", "/cursor"), ("cursor=x", "/cursor"), ("cursor=-1", "/cursor"),
    ("cursor=0", "/cursor"), ("limit=0100000", "/limit"), ("limit=0", "/limit"),
])
def test_a_wrong_page_of_revisions_is_refused(desk: Desk, query: str, pointer: str) -> None:
    answer = desk.get(f"/v1/releases/{desk.post()['id']}/revisions?{query}")
    assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (422, pointer)


def test_a_difference_is_told_by_characters_in_chinese_and_by_words_in_english(desk: Desk) -> None:
    release = desk.post(status="draft")
    document = desk.reworded()
    document["editions"]["zh-Hans"]["headline"] = "两校签署合作协议"
    document["editions"]["en"]["headline"] = "Two colleges sign an accord"
    desk.put(release, document)
    document["editions"]["zh-Hans"]["headline"] = "两校签订合作协议"
    document["editions"]["en"]["headline"] = "Two colleges signed an accord"
    desk.put(release, document)
    diff = desk.get(f"/v1/releases/{release['id']}/diff").json
    assert (diff["from"], diff["to"], diff["members"]) == (2, 3, [])
    assert {tag: list(edition["fields"]) for tag, edition in diff["editions"].items()} == {
        "zh-Hans": ["headline"], "en": ["headline"],
    }
    steps = {tag: [(s["op"], s["text"]) for s in e["fields"]["headline"]] for tag, e in diff["editions"].items()}
    assert steps["zh-Hans"] == [("equal", "两校签"), ("delete", "署"), ("insert", "订"), ("equal", "合作协议")]
    assert steps["en"] == [
        ("equal", "Two colleges "), ("delete", "sign"), ("insert", "signed"), ("equal", " an accord"),
    ]
    back = desk.get(f"/v1/releases/{release['id']}/diff?from=3&to=3").json
    assert {edition["change"] for edition in back["editions"].values()} == {"same"}
    assert desk.get(f"/v1/releases/{release['id']}/diff?from=1&to=9").status_code == 404
    assert codes(desk.get(f"/v1/releases/{release['id']}/diff?from=x")) == [("/from", "bad_revision")]


def test_receipts_tell_per_partner_and_language_and_print(
    desk: Desk, swap: Any, services: Services
) -> None:
    order = {"partner": "新华<社>", "channel": "webhook", "callback": "http://127.0.0.1:9/", "languages": list(BOTH)}
    for _ in range(3):
        assert desk.ask("POST", "/v1/subscriptions", order).status_code == 201
    release = desk.post()
    swap()
    path = f"/v1/releases/{release['id']}/receipts"
    url, receivers = f"{path}?limit=2", []
    while url:
        page = desk.get(url.removeprefix("http://127.0.0.1:8080")).json
        receivers += page["items"]
        url = page["next"]
    assert len({receiver["subscription_id"] for receiver in receivers}) == len(receivers) == 3
    for receiver in receivers:
        assert list(receiver["languages"]) == list(BOTH)
        for receipt in receiver["languages"].values():
            assert (receipt["accepted"], receipt["owed"]["event"]) == (None, "release.published")
    for language, word in (("zh", "发布（修订版 1）：发送中"), ("en", "publication (revision 1): on its way")):
        printed = desk.get(path, accept="text/html", accept_language=language)
        assert (printed.mimetype, printed.headers["Cache-Control"]) == ("text/html", "no-store")
        assert receivers[0]["languages"]["en"]["sent"][0]["message_id"] in printed.text
        assert word in printed.text and "新华&lt;社&gt;" in printed.text and "<社>" not in printed.text


def test_the_audit_log_is_read_by_staff_for_a_release_and_by_an_admin_for_all(
    desk: Desk, admin: dict[str, str], swap: Any
) -> None:
    releases = [desk.post(status="draft") for _ in range(2)]
    for release in releases:
        desk.put(release, desk.reworded(*BOTH))
        desk.move(release, "publish")
    swap()
    desk.move(releases[0], "withdraw", {"reason": REASON})
    told = desk.get(f"/v1/releases/{releases[0]['id']}/audit").json["items"]
    assert [(entry["action"], entry["actor"]) for entry in told] == [
        ("withdrawn", "desk"), ("went_public", "diglot"), ("published", "desk"), ("revised", "desk"),
        ("accepted", "desk"),
    ]
    assert told[0]["details"]["reason"] == REASON
    assert desk.get("/v1/audit").status_code == 403
    boss = Desk(desk.client, admin, desk.document)
    assert len(boss.get("/v1/audit").json["items"]) == 9


# Who may, and in which words


@pytest.mark.parametrize(("method", "path"), [
    ("PUT", ""), ("POST", "/publish"), ("POST", "/schedule"), ("POST", "/unschedule"), ("POST", "/withdraw"),
    ("GET", "/revisions"), ("GET", "/revisions/1"), ("GET", "/diff"), ("GET", "/receipts"), ("GET", "/audit"),
])
def test_a_partner_has_no_part_in_it(desk: Desk, services: Services, method: str, path: str) -> None:
    release = desk.post()
    key = keys.make_key(services.storage, "P", Role.PARTNER, services.clock(), "P")[1]
    answer = Desk(desk.client, bearer(key), desk.document).ask(method, f"/v1/releases/{release['id']}{path}", {})
    assert (answer.status_code, answer.json["code"]) == (403, "forbidden")


@pytest.mark.parametrize(("method", "path"), [
    ("PUT", ""), ("POST", "/publish"), ("POST", "/schedule"), ("POST", "/unschedule"), ("POST", "/withdraw"),
    ("GET", "/revisions"), ("GET", "/revisions/1"), ("GET", "/diff"), ("GET", "/receipts"), ("GET", "/audit"),
])
@pytest.mark.parametrize("release_id", ["nonsense", "01990000-0000-7000-8000-00000000dead"])
def test_what_is_no_release_has_no_life(desk: Desk, method: str, path: str, release_id: str) -> None:
    body = {
        "/schedule": {"publish_at": "2030-01-01T00:00:00Z"}, "/withdraw": {"reason": REASON}, "": desk.document,
    }.get(path)
    answer = desk.ask(method, f"/v1/releases/{release_id}{path}", body, if_match="*")
    assert (answer.status_code, answer.json["code"]) == (404, "not_found")


@pytest.mark.parametrize(("state", "move", "english", "chinese"), [
    ("published", "publish", "now: revise it (PUT), withdraw it.", "现在可以：修改（PUT）、撤回。"),
    ("withdrawn", "withdraw", "now: none.", "现在可以：无。"),
    ("draft", "withdraw", "revise it (PUT), schedule it, publish it.", "修改（PUT）、定时发布、立即发布。"),
    ("draft", "unschedule", "is a draft, so it can’t be taken off its schedule.", "的状态是：草稿，不能取消定时。"),
])
def test_a_refusal_says_what_can_be_done_now(
    desk: Desk, state: str, move: str, english: str, chinese: str
) -> None:
    release = desk.post(**({"status": "draft"} if state == "draft" else {}))
    if state == "withdrawn":
        desk.move(release, "withdraw", {"reason": REASON})
    body = {"reason": REASON} if move == "withdraw" else None
    for language, words in (("en", english), ("zh", chinese)):
        answer = desk.move(release, move, body, accept_language=language)
        assert (answer.status_code, answer.json["code"]) == (409, "illegal_move")
        assert words in answer.json["detail"], answer.json["detail"]
        assert answer.headers["Content-Language"] == language
