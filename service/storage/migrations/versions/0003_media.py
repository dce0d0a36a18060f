"""Uploaded media, and which revision of a release shows them."""

import sqlalchemy as sa
from alembic import op

from service.storage.tables import Instant

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('media',
        sa.Column('id', sa.Uuid(), nullable=False),
        sa.Column('file_name', sa.String(length=40), nullable=False),
        sa.Column('digest', sa.String(length=64), nullable=False),
        sa.Column('type', sa.String(length=100), nullable=False),
        sa.Column('byte_length', sa.BigInteger(), nullable=False),
        sa.Column('width', sa.Integer(), nullable=True),
        sa.Column('height', sa.Integer(), nullable=True),
        sa.Column('name', sa.String(length=200), nullable=True),
        sa.Column('created_at', Instant(), nullable=False),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_media')),
        sa.UniqueConstraint('digest', name=op.f('uq_media_digest')),
        sa.UniqueConstraint('file_name', name=op.f('uq_media_file_name'))
    )
    op.create_table('release_media',
        sa.Column('media_id', sa.Uuid(), nullable=False),
        sa.Column('release_id', sa.Uuid(), nullable=False),
        sa.Column('revision', sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(['media_id'], ['media.id'], name=op.f('fk_release_media_media_id')),
        sa.ForeignKeyConstraint(['release_id'], ['releases.id'], name=op.f('fk_release_media_release_id')),
        sa.PrimaryKeyConstraint('media_id', 'release_id', 'revision', name=op.f('pk_release_media'))
    )


def downgrade() -> None:
    op.drop_table('release_media')
    op.drop_table('media')
