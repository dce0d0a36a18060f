"""Subscribers of WebSub, what they are said to want, and a Link header for each feed, which is drawn anew."""

import sqlalchemy as sa
from alembic import op

from service.storage.tables import Instant

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_ACTIVE, _DUE = sa.text("state = 'active'"), sa.text("state = 'due'")


def upgrade() -> None:
    with op.batch_alter_table("subscriptions") as batch_op:
        batch_op.alter_column("secret", existing_type=sa.String(120), type_=sa.String(400), existing_nullable=False)
        batch_op.add_column(sa.Column("topic", sa.String(200)))
        batch_op.add_column(sa.Column("lease_until", Instant()))
    op.create_index("ix_subscriptions_lease_until", "subscriptions", ["lease_until"])
    op.create_index(
        "uq_subscriptions_topic", "subscriptions", ["topic", "callback"], unique=True,
        sqlite_where=_ACTIVE, postgresql_where=_ACTIVE,
    )
    with op.batch_alter_table("deliveries") as batch_op:
        batch_op.alter_column("payload_id", existing_type=sa.Uuid(), nullable=True)
    op.add_column("documents", sa.Column("link", sa.Text()))
    op.create_table(
        "intents",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("mode", sa.String(16), nullable=False),
        sa.Column("topic", sa.String(200), nullable=False),
        sa.Column("callback", sa.String(2000), nullable=False),
        sa.Column("host", sa.String(253), nullable=False),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("lease_seconds", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(400)),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("next_attempt_at", Instant()),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("claim_owner", sa.String(80)),
        sa.Column("claim_until", Instant()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_intents")),
    )
    op.create_index("ix_intents_created_at", "intents", ["created_at"])
    op.create_index("ix_intents_host", "intents", ["host", "created_at"])
    op.create_index("ix_intents_subscriber", "intents", ["topic", "callback"])
    op.create_index(
        "ix_intents_due", "intents", ["host", "next_attempt_at"], sqlite_where=_DUE, postgresql_where=_DUE
    )
    # Every feed names the hub from now on.
    op.execute("UPDATE generations SET digest = ''")


def downgrade() -> None:
    op.drop_table("intents")
    op.drop_column("documents", "link")
    for statement in (
        "DELETE FROM attempts WHERE delivery_id IN (SELECT id FROM deliveries WHERE payload_id IS NULL)",
        "DELETE FROM deliveries WHERE payload_id IS NULL",
        "DELETE FROM events WHERE type = 'feed.changed'",
        "DELETE FROM subscriptions WHERE channel = 'websub'",
    ):
        op.execute(statement)
    with op.batch_alter_table("deliveries") as batch_op:
        batch_op.alter_column("payload_id", existing_type=sa.Uuid(), nullable=False)
    op.drop_index("uq_subscriptions_topic", table_name="subscriptions")
    op.drop_index("ix_subscriptions_lease_until", table_name="subscriptions")
    with op.batch_alter_table("subscriptions") as batch_op:
        batch_op.drop_column("lease_until")
        batch_op.drop_column("topic")
        batch_op.alter_column("secret", existing_type=sa.String(400), type_=sa.String(120), existing_nullable=False)
