"""How much a database reads for a statement: what grows with the newsroom shows here long before it takes time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from service.storage import Storage

# SQLite counts in steps of its virtual machine, a few of them for each row that it looks at.
STEPS = 10
STEPS_PER_ROW = 10


@contextmanager
def metered(storage: Storage) -> Iterator[Counter[str]]:
    """Statement to the most rows that it looked at in one go, roughly, while the block runs."""
    watch = _SqliteMeter() if storage.engine.dialect.name == "sqlite" else _PostgresMeter()
    sa.event.listen(storage.engine, "before_cursor_execute", watch.before)
    try:
        yield watch.rows
    finally:
        sa.event.remove(storage.engine, "before_cursor_execute", watch.before)


class _SqliteMeter:
    def __init__(self) -> None:
        self.rows: Counter[str] = Counter()
        self._statement, self._steps = "", 0

    def before(self, connection: sa.Connection, _cursor: Any, statement: str, *_: Any) -> None:
        self._statement, self._steps = statement, 0
        connection.connection.dbapi_connection.set_progress_handler(self._count, STEPS)  # type: ignore[union-attr]

    def _count(self) -> None:
        self._steps += STEPS
        self.rows[self._statement] = max(self.rows[self._statement], self._steps // STEPS_PER_ROW)


class _PostgresMeter:
    def __init__(self) -> None:
        self.rows: Counter[str] = Counter()

    def before(
        self, connection: sa.Connection, _cursor: Any, statement: str, parameters: Any, _context: Any, many: bool
    ) -> None:
        if statement.startswith(("SELECT", "INSERT", "UPDATE", "DELETE")):
            with connection.connection.cursor() as cursor:
                cursor.execute("SAVEPOINT meter")
                cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", parameters[0] if many else parameters)
                plan = cursor.fetchone()[0][0]["Plan"]  # type: ignore[index]
                cursor.execute("ROLLBACK TO SAVEPOINT meter")
            self.rows[statement] = max(self.rows[statement], _rows(plan))


def _rows(plan: dict[str, Any]) -> int:
    seen = ("Actual Rows", "Rows Removed by Filter", "Rows Removed by Index Recheck", "Rows Removed by Join Filter")
    own = sum(plan.get(name, 0) for name in seen) * plan["Actual Loops"]
    return int(own) + sum(_rows(part) for part in plan.get("Plans", ()))
