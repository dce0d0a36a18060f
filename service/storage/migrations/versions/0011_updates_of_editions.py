"""Each edition keeps the date of its own last change; of what stands there already, all changed together."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("releases", sa.Column("edition_updates", sa.JSON))


def downgrade() -> None:
    op.drop_column("releases", "edition_updates")
