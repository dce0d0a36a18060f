"""Whether anybody has written to an SQLite database, seen in memory that all who have it open share.

In WAL mode a commit is what rewrites the header of the WAL-index, by which SQLite's own readers learn of it: 48 bytes,
and the same 48 once more (https://sqlite.org/walformat.html, section 2.1). As long as they are what they were, no
question can have another answer. The format may change with SQLite, so whatever isn't of this one is not relied on.
"""

from __future__ import annotations

import mmap
import os
import sys
from pathlib import Path

_COPY_BYTES = 48
_VERSION = (3007000).to_bytes(4, sys.byteorder)
# Never closed: with a file that a process closes it loses all its locks on it, SQLite's own among them (fcntl(2)).
_mapped: list[mmap.mmap] = []


class Commits:
    """The header of one WAL-index, for as long as a connection that has asked something is open."""

    def __init__(self, shared: mmap.mmap) -> None:
        self._shared = shared

    def read(self) -> bytes | None:
        """What every commit changes; None if that can't be told just now."""
        header = self._shared[: 2 * _COPY_BYTES]
        return header if header.startswith(_VERSION) and header[:_COPY_BYTES] == header[_COPY_BYTES:] else None

    def are_all_in(self, header: bytes) -> bool:
        """Whether nothing was committed since ``header`` was read."""
        return self._shared[: 2 * _COPY_BYTES] == header


def map_commits(path: str) -> Commits | None:
    """The WAL-index at ``path``; None if there is none."""
    try:
        if Path(path).stat().st_size < 2 * _COPY_BYTES:
            return None
        shared = mmap.mmap(os.open(path, os.O_RDONLY | os.O_CLOEXEC), 2 * _COPY_BYTES, prot=mmap.PROT_READ)
    except OSError:
        return None
    _mapped.append(shared)
    return Commits(shared)
