"""The examples of docs/feeds.md are lines of real documents."""

from __future__ import annotations

import json
import re
from pathlib import Path

from service.directory import is_retired
from tests.conftest import ROOT
from tests.core.test_directory import with_feeds

DOCS = (ROOT / "docs/feeds.md").read_text("utf-8")
GOLDEN = Path(__file__).with_name("golden")


def examples(kind: str) -> list[str]:
    blocks = re.findall(rf"```{kind}\n(.*?)```", DOCS, re.DOTALL)
    return [line.strip() for block in blocks for line in block.split("\n")]


def test_each_example_of_a_feed_stands_in_a_golden_document() -> None:
    known = {line.strip() for path in GOLDEN.iterdir() for line in path.read_text("utf-8").split("\n")}
    told = [line for line in examples("xml") + examples("json") if line]
    assert len(told) > 10
    assert [line for line in told if line not in known] == []


def test_the_example_of_the_profile_is_one(tmp_path: Path) -> None:
    [line] = filter(None, examples("json5"))
    feeds = re.fullmatch(r'"feeds": (\{.*\})', line)
    assert feeds
    assert is_retired(with_feeds(tmp_path, **json.loads(feeds[1])), "/feeds/en/notices.rss")
