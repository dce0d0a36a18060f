"""The rendered documents and the generation that they belong to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from service.model import Document
from service.storage.tables import documents, generations

_ONLY = 1


@dataclass(frozen=True, slots=True)
class Generation:
    """``number`` counts the swaps, ``digest`` names what rendered them, ``published_at`` is the last instant given."""

    number: int
    digest: str
    published_at: datetime


def find_generation(tx: sa.Connection) -> Generation | None:
    row = tx.execute(sa.select(generations).where(generations.c.id == _ONLY)).first()
    return Generation(row.number, row.digest, row.published_at) if row else None


def advance_generation(tx: sa.Connection, generation: Generation) -> bool:
    """Whether this transaction is the one that follows generation `number - 1`."""
    values = {"number": generation.number, "digest": generation.digest, "published_at": generation.published_at}
    if generation.number == 1:
        found = tx.execute(sa.select(generations.c.id)).first()
        if not found:
            tx.execute(generations.insert().values(id=_ONLY, **values))
        return not found
    change = generations.update().where(generations.c.id == _ONLY, generations.c.number == generation.number - 1)
    return tx.execute(change.values(**values)).rowcount == 1


def find_document(tx: sa.Connection, path: str) -> Document | None:
    row = tx.execute(sa.select(documents).where(documents.c.path == path)).mappings().first()
    return Document(**row) if row else None


def list_documents(tx: sa.Connection) -> list[Document]:
    return [Document(**row) for row in tx.execute(sa.select(documents)).mappings()]


def replace_documents(tx: sa.Connection, changed: Iterable[Document]) -> None:
    """Put these in place of what stood at their paths."""
    for document in changed:
        tx.execute(documents.delete().where(documents.c.path == document.path))
        tx.execute(documents.insert().values(**{name: getattr(document, name) for name in Document.__slots__}))
