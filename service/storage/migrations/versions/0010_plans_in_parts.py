"""An event is planned in parts; it keeps how far it has come."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("events", sa.Column("planned_to", sa.Uuid))


def downgrade() -> None:
    op.drop_column("events", "planned_to")
