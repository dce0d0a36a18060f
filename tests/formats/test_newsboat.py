"""newsboat keys its items by guid over all feeds, so it shows at once where two languages share an id."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from service.model import Feed
from tests.formats.sample import PATHS

NEWSBOAT = shutil.which("newsboat")


@pytest.mark.skipif(NEWSBOAT is None, reason="newsboat is not installed")
@pytest.mark.parametrize("format", ["atom", "rss"])
def test_newsboat_keeps_all_items_of_both_languages_with_their_own_pages(
    served: str, feeds: dict[str, Feed], format: str, tmp_path: Path
) -> None:
    urls = {language: f"{served}/{path}.{format}" for language, path in PATHS.items()}
    (tmp_path / "urls").write_text("\n".join(urls.values()) + "\n")
    (tmp_path / "config").touch()
    files = ["-u", tmp_path / "urls", "-c", tmp_path / "cache.db", "-C", tmp_path / "config"]
    environment = {"HOME": str(tmp_path), "LC_ALL": "C.UTF-8"}
    subprocess.run([NEWSBOAT, *files, "-x", "reload"], env=environment, timeout=60, check=True)
    with closing(sqlite3.connect(tmp_path / "cache.db")) as cache:
        items = set(cache.execute("SELECT feedurl, guid, url, title FROM rss_item"))
        sites = dict(cache.execute("SELECT rssurl, url FROM rss_feed"))
    expected = {(urls[key], e.id, e.url, e.title) for key, feed in feeds.items() for e in feed.entries}
    assert items == expected
    assert sites == {urls[language]: feed.page_url for language, feed in feeds.items()}
