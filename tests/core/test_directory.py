"""The lists of feeds, and what became of feeds that are no more."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from service.config import Profile, load_profile
from service.directory import find_new_path, is_retired, render_lists
from service.errors import ConfigurationError
from service.feeds import feed_path
from service.messages import load_catalogue
from tests.conftest import ROOT


def outlines(profile: Profile, path: str) -> list[Any]:
    return etree.fromstring(render_lists(profile)[path][1]).findall(".//outline[@xmlUrl]")


def with_feeds(tmp_path: Path, **feeds: Any) -> Profile:
    """The newsroom's profile with a `feeds` of its own, read as the service reads it."""
    document = json.loads((ROOT / "newsroom.json").read_text("utf-8")) | {"feeds": feeds}
    path = tmp_path / "newsroom.json"
    path.write_text(json.dumps(document), "utf-8")
    return load_profile(path)


def test_the_list_of_all_names_every_feed_once_with_its_language_and_page(profile: Profile) -> None:
    found = [(o.get("xmlUrl"), o.get("language"), o.get("htmlUrl")) for o in outlines(profile, "/feeds.opml")]
    assert found == [
        (profile.base_url + feed_path(language, category, "atom"), language.tag, profile.list_url(language))
        for language in profile.languages for category in ("", *profile.categories)
    ]


def test_each_language_has_its_own_part_of_that_list(profile: Profile) -> None:
    per_language = [outlines(profile, f"/feeds/{language.url_name}.opml") for language in profile.languages]
    assert [{o.get("language") for o in found} for found in per_language] == [{"zh-Hans"}, {"en"}]
    parts = [o.get("xmlUrl") for found in per_language for o in found]
    assert parts == [o.get("xmlUrl") for o in outlines(profile, "/feeds.opml")]


def test_a_list_is_opml_2_and_groups_categories_under_a_word_of_its_language(profile: Profile) -> None:
    root = etree.fromstring(render_lists(profile)["/feeds/zh.opml"][1])
    assert (root.tag, root.get("version"), root.findtext("head/title")) == ("opml", "2.0", profile.name["zh-Hans"])
    whole, group = root.findall("body/outline")
    assert (whole.get("text"), group.get("text"), group.get("type")) == (profile.name["zh-Hans"], "类别", None)
    labels = [names["zh-Hans"] for names in profile.categories.values()]
    assert [o.get("text") for o in group] == [f"{profile.name['zh-Hans']} – {label}" for label in labels]
    for outline in root.iter("outline"):
        assert outline.get("text") == outline.get("title")
        assert (outline.get("type") == "rss") == ("xmlUrl" in outline.attrib)


def test_a_newsroom_without_categories_has_no_empty_group(profile: Profile) -> None:
    bare = dataclasses.replace(profile, categories={})
    assert len(etree.fromstring(render_lists(bare)["/feeds/en.opml"][1]).findall("body/outline")) == 1


RESTS = [".atom", ".rss", ".json", ".opml", "/archive/12.atom"]


@pytest.mark.parametrize("rest", RESTS)
def test_a_renamed_feed_moves_in_every_format_and_with_its_archives(tmp_path: Path, rest: str) -> None:
    profile = with_feeds(tmp_path, renamed={"cn": "zh", "en/trips": "en/visits"})
    assert find_new_path(profile, f"/feeds/cn{rest}") == f"/feeds/zh{rest}"
    assert find_new_path(profile, f"/feeds/en/trips{rest}") == f"/feeds/en/visits{rest}"
    assert find_new_path(profile, f"/feeds/zh/trips{rest}") is None


@pytest.mark.parametrize("rest", RESTS)
def test_a_retired_feed_is_retired_in_every_format_and_alone(tmp_path: Path, rest: str) -> None:
    profile = with_feeds(tmp_path, retired=["de", "en/archive"])
    assert is_retired(profile, f"/feeds/de{rest}") and is_retired(profile, f"/feeds/en/archive{rest}")
    assert not is_retired(profile, f"/feeds/en{rest}") and not is_retired(profile, f"/feeds/de/visits{rest}")


@pytest.mark.parametrize(("feeds", "line"), [
    ({"retired": ["zh"]}, "/feeds/retired/0: feed_is_live"),
    ({"retired": ["de", "en/visits"]}, "/feeds/retired/1: feed_is_live"),
    ({"renamed": {"en/visits": "en"}}, "/feeds/renamed/en~1visits: feed_is_live"),
    ({"renamed": {"en/trips": "en/tours"}}, "/feeds/renamed/en~1trips: no_such_feed"),
    ({"renamed": {"en/trips": "en/tours", "en/tours": "en"}}, "/feeds/renamed/en~1trips: no_such_feed"),
    ({"renamed": {"de": "en"}, "retired": ["de"]}, "/feeds/retired/0: retired_and_renamed"),
    ({"renamed": {"de": ""}}, "/feeds/renamed/de: "),
    ({"retired": [{}, ["zh"], 7]}, "/feeds/retired/1: "),
    ({"renamed": {"de": ["zh"]}}, "/feeds/renamed/de: "),
])
def test_a_fate_that_makes_no_sense_is_a_fault_of_the_profile(tmp_path: Path, feeds: Any, line: str) -> None:
    place, _, code = line.partition(": ")
    told = f"{place}: {load_catalogue('en')[f'fault.{code}']}" if code else line
    with pytest.raises(ConfigurationError, match=re.escape(told)):
        with_feeds(tmp_path, **feeds)
