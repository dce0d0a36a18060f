"""Lines by lane, host and subscription; what is left alone: hosts that fail, receivers that ask or fail; replays."""

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
_PLANNED = sa.text("planned_at IS NOT NULL")
_REPLAYED = sa.text("replay_id IS NOT NULL")
_OPEN = sa.text("finished_at IS NULL")
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
    op.add_column("subscriptions", sa.Column("failing_since", Instant()))
    op.add_column("subscriptions", sa.Column("paused_at", Instant()))
    op.create_table(
        "notices",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("type", sa.String(40), nullable=False),
        sa.Column("subscription_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("sent_at", Instant()),
        sa.ForeignKeyConstraint(["subscription_id"], ["subscriptions.id"], name=op.f("fk_notices_subscription_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notices")),
    )
    op.create_index(op.f("ix_notices_subscription_id"), "notices", ["subscription_id"])
    op.create_table(
        "replays",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("subscription_id", sa.Uuid(), nullable=False),
        sa.Column("since", Instant(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("after_at", Instant()),
        sa.Column("after_id", sa.Uuid()),
        sa.Column("planned_at", Instant()),
        sa.Column("finished_at", Instant()),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in ("total", "sent", "failed", "superseded")),
        sa.ForeignKeyConstraint(["subscription_id"], ["subscriptions.id"], name=op.f("fk_replays_subscription_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_replays")),
    )
    op.create_index(
        "ix_replays_open", "replays", ["subscription_id"], unique=True, sqlite_where=_OPEN, postgresql_where=_OPEN
    )
    op.create_index(
        "ix_events_planned", "events", ["created_at", "id"], sqlite_where=_PLANNED, postgresql_where=_PLANNED
    )
    with op.batch_alter_table("deliveries") as batch:
        batch.add_column(sa.Column("replay_id", sa.Uuid()))
        batch.create_foreign_key(op.f("fk_deliveries_replay_id"), "replays", ["replay_id"], ["id"])
    op.add_column("deliveries", sa.Column("tries_before", sa.Integer(), nullable=False, server_default="0"))
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
        "ix_deliveries_replay", "deliveries", ["replay_id", "state"],
        sqlite_where=_REPLAYED, postgresql_where=_REPLAYED,
    )
    op.create_index(
        "ix_deliveries_claimed", "deliveries", ["subscription_id"], sqlite_where=_CLAIMED, postgresql_where=_CLAIMED,
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
    for name in ("claimed", "waiting", "ready", "replay"):
        op.drop_index(f"ix_deliveries_{name}", table_name="deliveries")
    op.create_index(
        "ix_deliveries_due", "deliveries", ["next_attempt_at"], sqlite_where=_DUE, postgresql_where=_DUE
    )
    with op.batch_alter_table("deliveries") as batch:
        batch.drop_constraint(op.f("fk_deliveries_replay_id"), type_="foreignkey")
    for table, columns in (
        ("deliveries", ("host", "lane", "tries_before", "replay_id")),
        ("subscriptions", ("paused_at", "failing_since", "held_until", "host")),
    ):
        with op.batch_alter_table(table) as batch:
            for column in columns:
                batch.drop_column(column)
    op.drop_index("ix_events_planned", table_name="events")
    op.drop_table("replays")
    op.drop_table("notices")
    op.drop_table("hosts")
