"""Notices are mailed; what stands there already is for the record alone."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("notices", sa.Column("status", sa.Integer))
    op.add_column("notices", sa.Column("error", sa.String(40)))
    op.add_column("notices", sa.Column("attempt", sa.Integer, nullable=False, server_default="0"))
    op.add_column("notices", sa.Column("next_attempt_at", sa.DateTime(timezone=True)))
    is_untold = sa.text("next_attempt_at IS NOT NULL")
    op.create_index(
        "ix_notices_untold", "notices", ["next_attempt_at"], sqlite_where=is_untold, postgresql_where=is_untold
    )


def downgrade() -> None:
    op.drop_index("ix_notices_untold", "notices")
    for name in ("next_attempt_at", "attempt", "error", "status"):
        op.drop_column("notices", name)
