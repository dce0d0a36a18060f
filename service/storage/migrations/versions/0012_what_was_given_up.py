"""The audit log also tells what befell a subscription; a notice names the delivery that was given up."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

# On SQLite they go with the table, which is written anew.
_GUARDS = [
    f"CREATE TRIGGER audit_keeps_{change} BEFORE {change} ON audit "
    "BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"
    for change in ("UPDATE", "DELETE")
]


def upgrade() -> None:
    op.add_column("notices", sa.Column("delivery_id", sa.Uuid))
    _need_release(needed=False)


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE audit DISABLE TRIGGER audit_keeps")
        op.execute("DELETE FROM audit WHERE release_id IS NULL")
        op.execute("ALTER TABLE audit ENABLE TRIGGER audit_keeps")
    else:
        op.execute("DROP TRIGGER audit_keeps_DELETE")
        op.execute("DELETE FROM audit WHERE release_id IS NULL")
    _need_release(needed=True)
    op.drop_column("notices", "delivery_id")


def _need_release(*, needed: bool) -> None:
    with op.batch_alter_table("audit") as batch:
        batch.alter_column("release_id", existing_type=sa.Uuid(), nullable=not needed)
        batch.alter_column("revision", existing_type=sa.Integer(), nullable=not needed)
    if op.get_bind().dialect.name == "sqlite":
        for guard in _GUARDS:
            op.execute(guard)
