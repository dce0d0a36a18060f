"""Failures that are far enough from each other are counted before a subscription is paused."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "subscriptions", sa.Column("failures_counted", sa.SmallInteger, nullable=False, server_default="1")
    )
    op.add_column("subscriptions", sa.Column("failure_counted_at", sa.DateTime(timezone=True)))


def downgrade() -> None:
    for name in ("failure_counted_at", "failures_counted"):
        op.drop_column("subscriptions", name)
