"""Columns whose text is never in the database as it is: `sa.Column("secret", Sealed)`."""

from __future__ import annotations

import sqlalchemy as sa

from service.errors import SecretUnreadable
from service.model import Secret
from service.vault import Vault


class Sealed(sa.TypeDecorator[Secret]):
    """A Secret, sealed as it is written, and opened when it is revealed: a row that can't be opened harms no other.

    The empty text stays empty, and what can't be opened as it is, so that the rest of its row can change.
    """

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: Secret | None, dialect: sa.Dialect) -> str | None:
        if value is None:
            return None
        try:
            text = value.reveal()
        except SecretUnreadable:
            return value.kept
        return vault_of(dialect).seal(text) if text else ""

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> Secret | None:
        return None if value is None else Secret(value, vault_of(dialect).open)


def install_vault(engine: sa.Engine, vault: Vault) -> None:
    """The dialect is each engine's own, and all that a column's type is told of where it stands."""
    engine.dialect.diglot_vault = vault  # type: ignore[attr-defined]


def vault_of(dialect: sa.Dialect) -> Vault:
    vault: Vault = dialect.diglot_vault  # type: ignore[attr-defined]
    return vault
