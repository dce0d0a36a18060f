"""What a channel alone asks of a subscription."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("subscriptions", sa.Column("settings", sa.JSON, nullable=False, server_default="{}"))


def downgrade() -> None:
    op.drop_column("subscriptions", "settings")
