"""The bytes themselves. A change here reaches every reader: look at the diff before taking it over."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC
from pathlib import Path

import pytest
from lxml import etree

from service.formats import FORMATS, render
from service.model import Feed
from tests.formats.sample import PATHS, make_archive, make_category_feed, make_feed

GOLDEN = Path(__file__).parent / "golden"
SAMPLES = {"": make_feed, "-archive": make_archive, "-category": make_category_feed}


@pytest.mark.parametrize("kind", SAMPLES)
@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("language", PATHS)
def test_documents_are_the_golden_ones_byte_for_byte(language: str, format: str, kind: str) -> None:
    golden = GOLDEN / f"{PATHS[language]}{kind}.{format}"
    if (kind, format) == ("-archive", "rss"):
        assert not golden.exists(), "RFC 5005 is of Atom; RSS has no archives"
    else:
        assert render(SAMPLES[kind](language), format) == golden.read_bytes()


def test_the_golden_documents_of_atom_are_valid_by_the_schema_of_rfc_4287() -> None:
    schema = etree.RelaxNG(etree.parse(GOLDEN.with_name("atom.rng")))
    assert [path.name for path in GOLDEN.glob("*.atom") if not schema.validate(etree.parse(path))] == []


@pytest.mark.parametrize("format", FORMATS)
def test_an_equal_feed_gives_equal_bytes_whatever_offset_its_times_are_told_in(feed: Feed, format: str) -> None:
    in_utc = tuple(
        replace(entry, published=entry.published.astimezone(UTC), updated=entry.updated.astimezone(UTC))
        for entry in feed.entries
    )
    assert render(feed, format) == render(replace(feed, entries=in_utc), format)


def test_the_machine_s_clock_zone_locale_and_hash_seed_leave_no_trace(feed: Feed) -> None:
    script = (
        "import sys, locale\n"
        "locale.setlocale(locale.LC_ALL, '')\n"
        "from tests.formats.sample import make_feed; from service.formats import FORMATS, render\n"
        f"for format in FORMATS: sys.stdout.buffer.write(render(make_feed({feed.language!r}), format))\n"
    )
    elsewhere = os.environ | {"TZ": "Asia/Shanghai", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "7"}
    root = Path(__file__).parents[2]
    there = subprocess.run([sys.executable, "-c", script], env=elsewhere, cwd=root, capture_output=True, check=True)
    assert there.stdout == b"".join(render(feed, format) for format in FORMATS)
