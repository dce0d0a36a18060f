"""Secrets are sealed, which makes them longer."""

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


def downgrade() -> None:
    """The longer column stays: what is sealed in it would not fit."""
