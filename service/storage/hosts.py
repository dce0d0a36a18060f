"""Hosts that failed of late, for all couriers together."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from service.retries import Breaker
from service.storage.sets import among
from service.storage.tables import hosts

_INSERTS: Mapping[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


_FIND = sa.select(hosts).where(among(hosts.c.host, "names"))
# In one order, so that two couriers with the same hosts don't wait for each other.
_LOCK = _FIND.order_by(hosts.c.host).with_for_update()


def find_breakers(tx: sa.Connection, names: Collection[str]) -> dict[str, Breaker]:
    """Of those hosts that aren't well."""
    return {row.host: Breaker(row.failures, row.held_until) for row in tx.execute(_FIND, {"names": names})}


def lock_breakers(tx: sa.Connection, names: Collection[str]) -> dict[str, Breaker]:
    """The same, which nobody can change until the transaction ends."""
    return {row.host: Breaker(row.failures, row.held_until) for row in tx.execute(_LOCK, {"names": names})}


def keep_breakers(tx: sa.Connection, breakers: Mapping[str, Breaker]) -> None:
    """Hosts that are well again are forgotten."""
    well = [name for name, breaker in breakers.items() if not breaker.failures]
    if well:
        tx.execute(hosts.delete().where(among(hosts.c.host, well)))
    rows = [
        {"host": name, "failures": breaker.failures, "held_until": breaker.held_until}
        for name, breaker in sorted(breakers.items()) if breaker.failures
    ]
    if rows:
        insert = _INSERTS[tx.dialect.name](hosts)
        # Another courier may have met its first failure in the same moment.
        change = {name: insert.excluded[name] for name in ("failures", "held_until")}
        tx.execute(insert.on_conflict_do_update(index_elements=[hosts.c.host], set_=change), rows)
