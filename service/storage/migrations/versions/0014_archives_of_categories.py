"""Each category numbers its releases for its archives; those that are public already in the order of their positions."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "slots",
        sa.Column("category", sa.String(120), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("release_id", sa.Uuid, nullable=False),
        sa.Column("left_at", sa.DateTime(timezone=True)),
        sa.ForeignKeyConstraint(["release_id"], ["releases.id"], name=op.f("fk_slots_release_id")),
        sa.PrimaryKeyConstraint("category", "number", name=op.f("pk_slots")),
        sa.UniqueConstraint("release_id", "category", name=op.f("uq_slots_release_id_category")),
    )
    # The withdrawn among them, for their tombstones; what is set aside gets its number when it is mended.
    op.execute(
        "INSERT INTO slots (category, number, release_id) "
        "SELECT category, row_number() OVER (PARTITION BY category ORDER BY position), release_id "
        "FROM (SELECT DISTINCT category, position, release_id FROM listings WHERE category <> '') AS shown"
    )
    # Every category's feed now leads to its archives: all are drawn anew.
    op.execute("UPDATE generations SET digest = ''")


def downgrade() -> None:
    op.drop_table("slots")
    op.execute("UPDATE generations SET digest = ''")
