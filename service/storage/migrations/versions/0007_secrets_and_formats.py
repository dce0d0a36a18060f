"""Secrets are sealed and replaced with an overlap; formats, languages and signatures are chosen; exchanges are kept."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("subscriptions") as table:
        table.alter_column("secret", existing_type=sa.String(400), existing_nullable=False, type_=sa.Text)
    op.add_column("subscriptions", sa.Column("format", sa.String(16), nullable=False, server_default="diglot"))
    op.add_column("subscriptions", sa.Column("language_choice", sa.String(20), nullable=False, server_default="all"))
    op.add_column(
        "payloads", sa.Column("media_type", sa.String(80), nullable=False, server_default="application/json")
    )
    op.add_column("subscriptions", sa.Column("public_key", sa.String(60)))
    op.add_column("subscriptions", sa.Column("former_secrets", sa.Text, nullable=False, server_default=""))
    op.add_column("subscriptions", sa.Column("overlap_ends_at", sa.DateTime(timezone=True)))
    op.add_column("attempts", sa.Column("request_headers", sa.JSON))
    op.add_column("attempts", sa.Column("response_headers", sa.JSON))
    op.add_column("attempts", sa.Column("response_body", sa.Text))


def downgrade() -> None:
    # The longer column stays: what is sealed in it would not fit.
    for name in ("response_body", "response_headers", "request_headers"):
        op.drop_column("attempts", name)
    op.drop_column("payloads", "media_type")
    for name in ("overlap_ends_at", "former_secrets", "public_key", "language_choice", "format"):
        op.drop_column("subscriptions", name)
