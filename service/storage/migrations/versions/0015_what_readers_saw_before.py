"""An event knows the revision that readers saw before; of what is public already, nobody does any more."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("events", sa.Column("after_revision", sa.Integer))


def downgrade() -> None:
    op.drop_column("events", "after_revision")
