"""Deliveries stand in line by lane, host and subscription; hosts that fail and receivers that ask are left alone."""

import sqlalchemy as sa
from alembic import op

from service.networks import host_of
from service.storage.tables import Instant

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_DUE = sa.text("state = 'due'")
_READY = sa.text("lane IS NOT NULL")
_WAITING = sa.text("state = 'due' AND lane IS NULL AND claim_owner IS NULL")
_CLAIMED = sa.text("claim_owner IS NOT NULL")


def upgrade() -> None:
    op.create_table(
        "hosts",
        sa.Column("host", sa.String(260), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("held_until", Instant()),
        sa.PrimaryKeyConstraint("host", name=op.f("pk_hosts")),
    )
    op.add_column("subscriptions", sa.Column("host", sa.String(260), nullable=False, server_default=""))
    op.add_column("subscriptions", sa.Column("held_until", Instant()))
    op.add_column("deliveries", sa.Column("lane", sa.SmallInteger()))
    op.add_column("deliveries", sa.Column("host", sa.String(260), nullable=False, server_default=""))
    _name_hosts()
    op.drop_index("ix_deliveries_due", table_name="deliveries")
    op.create_index(
        "ix_deliveries_ready", "deliveries", ["lane", "host", "subscription_id", "id"],
        sqlite_where=_READY, postgresql_where=_READY,
    )
    op.create_index(
        "ix_deliveries_waiting", "deliveries", ["next_attempt_at"], sqlite_where=_WAITING, postgresql_where=_WAITING,
    )
    op.create_index(
        "ix_deliveries_claimed", "deliveries", ["claim_until"], sqlite_where=_CLAIMED, postgresql_where=_CLAIMED,
    )


def _name_hosts() -> None:
    """What is due gets in line by itself, when a courier next looks."""
    tx = op.get_bind()
    subscriptions = sa.table("subscriptions", sa.column("id", sa.Uuid), sa.column("callback"), sa.column("host"))
    found = tx.execute(sa.select(subscriptions.c.id, subscriptions.c.callback)).all()
    name = subscriptions.update().where(subscriptions.c.id == sa.bindparam("key")).values(host=sa.bindparam("name"))
    if found:
        tx.execute(name, [{"key": row.id, "name": host_of(row.callback)} for row in found])
    op.execute(
        "UPDATE deliveries SET host = (SELECT host FROM subscriptions WHERE id = deliveries.subscription_id) "
        "WHERE state = 'due'"
    )


def downgrade() -> None:
    for name in ("claimed", "waiting", "ready"):
        op.drop_index(f"ix_deliveries_{name}", table_name="deliveries")
    op.create_index(
        "ix_deliveries_due", "deliveries", ["next_attempt_at"], sqlite_where=_DUE, postgresql_where=_DUE
    )
    for table, column in (("deliveries", "host"), ("deliveries", "lane"),
                          ("subscriptions", "held_until"), ("subscriptions", "host")):
        with op.batch_alter_table(table) as batch:
            batch.drop_column(column)
    op.drop_table("hosts")
