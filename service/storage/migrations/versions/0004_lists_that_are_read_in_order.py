"""Indexes for the lists that staff narrow by state, language or subscription."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_DUE = sa.text("state = 'due'")


def upgrade() -> None:
    op.create_index("ix_releases_state", "releases", ["state", "id"])
    op.create_index("ix_editions_language", "editions", ["language", "release_id"])
    op.drop_index("ix_deliveries_subscription", table_name="deliveries")
    op.create_index("ix_deliveries_subscription", "deliveries", ["subscription_id", "id"])
    op.create_index(
        "ix_deliveries_held", "deliveries", ["subscription_id", "id"], sqlite_where=_DUE, postgresql_where=_DUE
    )


def downgrade() -> None:
    op.drop_index("ix_deliveries_held", table_name="deliveries")
    op.drop_index("ix_deliveries_subscription", table_name="deliveries")
    op.create_index("ix_deliveries_subscription", "deliveries", ["subscription_id", "state"])
    op.drop_index("ix_editions_language", table_name="editions")
    op.drop_index("ix_releases_state", table_name="releases")
