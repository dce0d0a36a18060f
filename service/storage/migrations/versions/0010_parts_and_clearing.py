"""An event is planned in parts and keeps how far it has come; what was exchanged is cleared after a while."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("events", sa.Column("planned_to", sa.Uuid))
    op.add_column("attempts", sa.Column("exchange_cleared_at", sa.DateTime(timezone=True)))
    is_kept = sa.text("exchange_cleared_at IS NULL")
    op.create_index(
        "ix_attempts_exchange", "attempts", ["started_at"], sqlite_where=is_kept, postgresql_where=is_kept
    )


def downgrade() -> None:
    op.drop_index("ix_attempts_exchange", "attempts")
    op.drop_column("attempts", "exchange_cleared_at")
    op.drop_column("events", "planned_to")
