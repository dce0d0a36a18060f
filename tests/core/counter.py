"""Another process that commits; it imports nothing that would take its time."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any


def count_up(database: Path, last: int, committed: Any, told: Any) -> None:
    """Commit each generation up to ``last`` and then say so in ``committed``.

    It is two ahead of what was ``told``: one commit makes the other side ask, the next ones come while it asks.
    """
    connection = sqlite3.connect(database, isolation_level=None)
    # Others see a commit before the disk has it.
    connection.execute("PRAGMA synchronous=OFF")
    for number in range(2, last + 1):
        connection.execute("UPDATE generations SET number = ?", (number,))
        committed.value = number
        while told.value < number - 2:
            os.sched_yield()
    connection.close()
