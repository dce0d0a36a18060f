"""Schedules, withdrawals, positions, what each feed lists, and the audit log."""

import json

import sqlalchemy as sa
from alembic import op

from service.storage.tables import Instant

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_GUARDS = {
    "sqlite": [
        f"CREATE TRIGGER audit_keeps_{change} BEFORE {change} ON audit "
        "BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"
        for change in ("UPDATE", "DELETE")
    ],
    "postgresql": [
        "CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS "
        "$$BEGIN RAISE EXCEPTION 'the audit log is append-only'; END$$",
        "CREATE TRIGGER audit_keeps BEFORE UPDATE OR DELETE OR TRUNCATE ON audit "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change()",
    ],
}


def upgrade() -> None:
    with op.batch_alter_table('releases') as batch_op:
        batch_op.add_column(sa.Column('publish_at', Instant(), nullable=True))
        batch_op.add_column(sa.Column('withdrawn_at', Instant(), nullable=True))
        batch_op.add_column(sa.Column('withdrawal', sa.JSON(none_as_null=True), nullable=True))
        batch_op.add_column(sa.Column('position', sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column('modified_at', Instant(), nullable=True))
        batch_op.create_unique_constraint(op.f('uq_releases_position'), ['position'])
        batch_op.drop_index('ix_releases_published_at')
    op.create_index('ix_releases_scheduled', 'releases', ['publish_at'], unique=False, sqlite_where=sa.text("state = 'scheduled'"), postgresql_where=sa.text("state = 'scheduled'"))

    op.create_table('listings',
        sa.Column('category', sa.String(length=120), nullable=False),
        sa.Column('language', sa.String(length=35), nullable=False),
        sa.Column('position', sa.Integer(), nullable=False),
        sa.Column('release_id', sa.Uuid(), nullable=False),
        sa.Column('updated_at', Instant(), nullable=False),
        sa.Column('withdrawn_at', Instant(), nullable=True),
        sa.ForeignKeyConstraint(['release_id'], ['releases.id'], name=op.f('fk_listings_release_id')),
        sa.PrimaryKeyConstraint('category', 'language', 'position', name=op.f('pk_listings'))
    )
    op.create_index(op.f('ix_listings_release_id'), 'listings', ['release_id'], unique=False)
    op.create_index('ix_listings_live', 'listings', ['category', 'language', 'updated_at'], unique=False, sqlite_where=sa.text('withdrawn_at IS NULL'), postgresql_where=sa.text('withdrawn_at IS NULL'))
    op.create_index('ix_listings_withdrawn', 'listings', ['category', 'language', 'withdrawn_at'], unique=False, sqlite_where=sa.text('withdrawn_at IS NOT NULL'), postgresql_where=sa.text('withdrawn_at IS NOT NULL'))
    op.create_table('feeds',
        sa.Column('category', sa.String(length=120), nullable=False),
        sa.Column('language', sa.String(length=35), nullable=False),
        sa.Column('updated_at', Instant(), nullable=False),
        sa.PrimaryKeyConstraint('category', 'language', name=op.f('pk_feeds'))
    )
    op.create_table('audit',
        sa.Column('id', sa.Uuid(), nullable=False),
        sa.Column('at', Instant(), nullable=False),
        sa.Column('action', sa.String(length=40), nullable=False),
        sa.Column('release_id', sa.Uuid(), nullable=False),
        sa.Column('revision', sa.Integer(), nullable=False),
        sa.Column('actor', sa.String(length=200), nullable=False),
        sa.Column('key_id', sa.Uuid(), nullable=True),
        sa.Column('details', sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(['key_id'], ['api_keys.id'], name=op.f('fk_audit_key_id')),
        sa.ForeignKeyConstraint(['release_id'], ['releases.id'], name=op.f('fk_audit_release_id')),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_audit'))
    )
    op.create_index(op.f('ix_audit_release_id'), 'audit', ['release_id'], unique=False)
    for statement in _GUARDS[op.get_bind().dialect.name]:
        op.execute(statement)
    _list_what_is_public()


def _list_what_is_public() -> None:
    """Positions in the order of publication, listings, and a generation that has everything drawn anew."""
    bind = op.get_bind()
    releases, revisions, listings = (sa.table(name, *map(sa.column, columns.split())) for name, columns in (
        ("releases", "id position modified_at"), ("revisions", "release_id number document"),
        ("listings", "category language position release_id updated_at"),
    ))
    rows = bind.execute(sa.text(
        "SELECT r.id, r.updated_at, v.document FROM releases r JOIN revisions v "
        "ON v.release_id = r.id AND v.number = r.public_revision "
        "WHERE r.published_at IS NOT NULL AND r.set_aside_at IS NULL ORDER BY r.published_at"
    )).all()
    for position, (release_id, updated_at, document) in enumerate(rows, 1):
        document = json.loads(document) if isinstance(document, str) else document
        bind.execute(releases.update().where(releases.c.id == release_id).values(position=position, modified_at=updated_at))
        bind.execute(listings.insert(), [
            {"category": category, "language": edition["language"], "position": position,
             "release_id": release_id, "updated_at": updated_at}
            for edition in document["editions"] for category in ("", *document["categories"])
        ])
    _remake_generations(bind, len(rows))


def _remake_generations(bind: sa.Connection, position: int) -> None:
    last = bind.execute(sa.text("SELECT number, published_at FROM generations")).first()
    op.drop_table('generations')
    op.create_table('generations',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('number', sa.Integer(), nullable=False),
        sa.Column('digest', sa.String(length=64), nullable=False),
        sa.Column('published_at', Instant(), nullable=False),
        sa.Column('position', sa.Integer(), nullable=False),
        sa.Column('swapped_at', Instant(), nullable=False),
        sa.Column('redrawn_at', Instant(), nullable=False),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_generations'))
    )
    if last:
        bind.execute(
            sa.text("INSERT INTO generations VALUES (1, :number, '', :instant, :position, :instant, :instant)"),
            {"number": last.number, "instant": last.published_at, "position": position},
        )


def downgrade() -> None:
    op.drop_table('audit')
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION refuse_audit_change")
    op.drop_table('feeds')
    op.drop_table('listings')
    with op.batch_alter_table('generations') as batch_op:
        for name in ('position', 'swapped_at', 'redrawn_at'):
            batch_op.drop_column(name)
    op.drop_index('ix_releases_scheduled', table_name='releases')
    with op.batch_alter_table('releases') as batch_op:
        batch_op.drop_constraint('uq_releases_position', type_='unique')
        for name in ('publish_at', 'withdrawn_at', 'withdrawal', 'position', 'modified_at'):
            batch_op.drop_column(name)
        batch_op.create_index('ix_releases_published_at', ['published_at'], unique=False)
