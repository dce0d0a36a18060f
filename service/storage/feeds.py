"""The rendered documents and the generation that they belong to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from service.model import Document
from service.storage.tables import documents, generations

_ONLY = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """Which swap is out.

    ``number`` counts the swaps, ``digest`` names what rendered them, ``published_at`` and ``position`` are the
    last that a release was given. ``swapped_at`` and ``redrawn_at`` are the whole seconds of the last swap and
    of the last one that rendered everything anew.
    """

    number: int
    digest: str
    published_at: datetime
    position: int
    swapped_at: datetime
    redrawn_at: datetime


def find_generation(tx: sa.Connection) -> Generation | None:
    row = tx.execute(sa.select(generations).where(generations.c.id == _ONLY)).first()
    return Generation(**{name: getattr(row, name) for name in Generation.__slots__}) if row else None


def advance_generation(tx: sa.Connection, generation: Generation) -> bool:
    """Whether this transaction is the one that follows generation `number - 1`."""
    values = {name: getattr(generation, name) for name in Generation.__slots__}
    if generation.number == 1:
        found = tx.execute(sa.select(generations.c.id)).first()
        if not found:
            tx.execute(generations.insert().values(id=_ONLY, **values))
        return not found
    change = generations.update().where(generations.c.id == _ONLY, generations.c.number == generation.number - 1)
    return tx.execute(change.values(**values)).rowcount == 1


def find_document(tx: sa.Connection, path: str) -> tuple[int, Document] | None:
    """The document at this path and the number of the generation that it is of."""
    number = sa.select(generations.c.number).where(generations.c.id == _ONLY).scalar_subquery()
    row = tx.execute(sa.select(documents, number.label("generation")).where(documents.c.path == path)).first()
    return (row.generation, Document(**{name: getattr(row, name) for name in Document.__slots__})) if row else None


def list_documents(tx: sa.Connection, paths: Iterable[str]) -> list[Document]:
    """Those of these paths that there are."""
    query = sa.select(documents).where(documents.c.path.in_(list(paths)))
    return [Document(**row) for row in tx.execute(query).mappings()]


def list_paths(tx: sa.Connection) -> set[str]:
    return set(tx.execute(sa.select(documents.c.path)).scalars())


def replace_documents(tx: sa.Connection, changed: Sequence[Document]) -> None:
    """Put these in place of what stood at their paths."""
    remove_documents(tx, [document.path for document in changed])
    if changed:
        names = Document.__slots__
        tx.execute(documents.insert(), [{name: getattr(document, name) for name in names} for document in changed])


def remove_documents(tx: sa.Connection, paths: Sequence[str]) -> None:
    tx.execute(documents.delete().where(documents.c.path.in_(paths)))
