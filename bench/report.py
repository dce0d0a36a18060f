"""What a benchmark found, as a table that reads well in a terminal and in Markdown alike."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sqlite3
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

LIBRARIES = ("celery", "redis", "uvicorn", "flask", "sqlalchemy", "pycurl", "requests")


class Skipped(Exception):
    """A benchmark can't run here; the sentence says what to install."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """``samples`` are by row, one for each round; each of ``against`` names the row of a ratio column."""

    title: str
    unit: str
    against: Sequence[str]
    digits: int = 0
    samples: dict[str, list[float]] = field(default_factory=dict)

    def add(self, row: str, sample: float) -> None:
        self.samples.setdefault(row, []).append(sample)

    def render(self) -> str:
        head = ["", f"median, {self.unit}", "lowest", "highest", *(f"ratio to {row}" for row in self.against)]
        lines = [head, *(self._cells(row) for row in self.samples)]
        widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
        rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
        padded = (_pad(line, widths) for line in [lines[0], rule, *lines[1:]])
        return "\n".join([f"{self.title}\n", *(f"| {' | '.join(cells)} |" for cells in padded)])

    def _cells(self, row: str) -> list[str]:
        values = self.samples[row]
        median = statistics.median(values)
        ratios = (median / statistics.median(self.samples[other]) for other in self.against)
        figures = [f"{value:,.{self.digits}f}" for value in (median, min(values), max(values))]
        return [row, *figures, *(f"{ratio:.2f}" for ratio in ratios)]


def _pad(cells: Sequence[str], widths: Sequence[int]) -> list[str]:
    first, *others = zip(cells, widths, strict=True)
    return [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]


def run_rounds(what: str, rounds: int, contestants: dict[str, Callable[[], float]], table: Table) -> None:
    """All contestants in turn, round by round, so that a busy minute of the machine hits each of them."""
    for number in range(1, rounds + 1):
        for row, measure in contestants.items():
            progress(f"{what}: round {number} of {rounds}, {row}")
            table.add(row, measure())


def progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def describe_machine() -> str:
    system = platform.freedesktop_os_release()["PRETTY_NAME"] if sys.platform == "linux" else platform.platform()
    versions = (f"{name} {importlib.metadata.version(name)}" for name in LIBRARIES)
    python = f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
    return f"{os.cpu_count()} cores, {platform.machine()}, {system}\n{python}, {', '.join(versions)}"
