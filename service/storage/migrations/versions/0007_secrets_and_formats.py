"""Secrets are sealed, which makes them longer; a new one signs beside the former ones."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # SQLite heeds no lengths, and would make the table anew.
    if op.get_bind().dialect.name == "postgresql":
        op.alter_column("subscriptions", "secret", type_=sa.Text)
    op.add_column("subscriptions", sa.Column("public_key", sa.String(60)))
    op.add_column("subscriptions", sa.Column("former_secrets", sa.Text, nullable=False, server_default=""))
    op.add_column("subscriptions", sa.Column("overlap_ends_at", sa.DateTime(timezone=True)))


def downgrade() -> None:
    # The longer column stays: what is sealed in it would not fit.
    for name in ("overlap_ends_at", "former_secrets", "public_key"):
        op.drop_column("subscriptions", name)
