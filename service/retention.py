"""What is kept for a time only."""

from __future__ import annotations

from datetime import datetime

from service.exchanges import KEPT_FOR
from service.storage import Storage, clearing

# So many at once that nobody waits long for the database.
BATCH = 1000


def clear_exchanges(storage: Storage, now: datetime) -> int:
    """A batch of the headers and answers whose time is over. Returns of how many attempts."""
    with storage.read() as tx:
        if not clearing.has_exchanges(tx, now - KEPT_FOR):
            return 0
    with storage.write() as tx:
        return clearing.clear_exchanges(tx, now - KEPT_FOR, now, limit=BATCH)
