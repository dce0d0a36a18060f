"""The first tables."""

import sqlalchemy as sa
from alembic import op

from service.storage.tables import Instant

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('api_keys',
        sa.Column('id', sa.Uuid(), nullable=False),
        sa.Column('name', sa.String(length=200), nullable=False),
        sa.Column('role', sa.String(length=16), nullable=False),
        sa.Column('partner', sa.String(length=200), nullable=True),
        sa.Column('digest', sa.String(length=64), nullable=False),
        sa.Column('created_at', Instant(), nullable=False),
        sa.Column('revoked_at', Instant(), nullable=True),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_api_keys')),
        sa.UniqueConstraint('digest', name=op.f('uq_api_keys_digest'))
    )
    op.create_table('documents',
        sa.Column('path', sa.String(length=200), nullable=False),
        sa.Column('media_type', sa.String(length=80), nullable=False),
        sa.Column('body', sa.LargeBinary(), nullable=False),
        sa.Column('gzip_body', sa.LargeBinary(), nullable=False),
        sa.Column('etag', sa.String(length=80), nullable=False),
        sa.Column('gzip_etag', sa.String(length=80), nullable=False),
        sa.Column('last_modified', Instant(), nullable=False),
        sa.PrimaryKeyConstraint('path', name=op.f('pk_documents'))
    )
    op.create_table('generations',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('number', sa.Integer(), nullable=False),
        sa.Column('digest', sa.String(length=64), nullable=False),
        sa.Column('published_at', Instant(), nullable=False),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_generations'))
    )
    op.create_table('heartbeats',
        sa.Column('name', sa.String(length=40), nullable=False),
        sa.Column('beat_at', Instant(), nullable=False),
        sa.PrimaryKeyConstraint('name', name=op.f('pk_heartbeats'))
    )
    op.create_table('releases',
        sa.Column('id', sa.Uuid(), nullable=False),
        sa.Column('slug', sa.String(length=160), nullable=False),
        sa.Column('state', sa.String(length=16), nullable=False),
        sa.Column('revision', sa.Integer(), nullable=False),
        sa.Column('public_revision', sa.Integer(), nullable=True),
        sa.Column('created_at', Instant(), nullable=False),
        sa.Column('updated_at', Instant(), nullable=False),
        sa.Column('published_at', Instant(), nullable=True),
        sa.Column('set_aside_at', Instant(), nullable=True),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_releases')),
        sa.UniqueConstraint('slug', name=op.f('uq_releases_slug'))
    )
    with op.batch_alter_table('releases', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_releases_published_at'), ['published_at'], unique=False)

    op.create_table('subscriptions',
        sa.Column('id', sa.Uuid(), nullable=False),
        sa.Column('partner', sa.String(length=200), nullable=False),
        sa.Column('channel', sa.String(length=20), nullable=False),
        sa.Column('callback', sa.String(length=2000), nullable=False),
        sa.Column('languages', sa.JSON(), nullable=False),
        sa.Column('categories', sa.JSON(), nullable=False),
        sa.Column('secret', sa.String(length=120), nullable=False),
        sa.Column('state', sa.String(length=16), nullable=False),
        sa.Column('ended_reason', sa.String(length=40), nullable=True),
        sa.Column('created_at', Instant(), nullable=False),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_subscriptions'))
    )
    with op.batch_alter_table('subscriptions', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_subscriptions_partner'), ['partner'], unique=False)
        batch_op.create_index(batch_op.f('ix_subscriptions_state'), ['state'], unique=False)

    op.create_table('editions',
        sa.Column('release_id', sa.Uuid(), nullable=False),
        sa.Column('language', sa.String(length=35), nullable=False),
        sa.Column('headline', sa.Text(), nullable=False),
        sa.Column('body_text', sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(['release_id'], ['releases.id'], name=op.f('fk_editions_release_id')),
        sa.PrimaryKeyConstraint('release_id', 'language', name=op.f('pk_editions'))
    )
    op.create_table('events',
        sa.Column('id', sa.Uuid(), nullable=False),
        sa.Column('type', sa.String(length=40), nullable=False),
        sa.Column('release_id', sa.Uuid(), nullable=True),
        sa.Column('revision', sa.Integer(), nullable=True),
        sa.Column('created_at', Instant(), nullable=False),
        sa.Column('published_at', Instant(), nullable=True),
        sa.Column('planned_at', Instant(), nullable=True),
        sa.Column('set_aside_at', Instant(), nullable=True),
        sa.ForeignKeyConstraint(['release_id'], ['releases.id'], name=op.f('fk_events_release_id')),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_events'))
    )
    with op.batch_alter_table('events', schema=None) as batch_op:
        batch_op.create_index('ix_events_open', ['created_at'], unique=False, sqlite_where=sa.text('planned_at IS NULL'), postgresql_where=sa.text('planned_at IS NULL'))
        batch_op.create_index(batch_op.f('ix_events_release_id'), ['release_id'], unique=False)

    op.create_table('idempotency_keys',
        sa.Column('api_key_id', sa.Uuid(), nullable=False),
        sa.Column('key', sa.String(length=255), nullable=False),
        sa.Column('digest', sa.String(length=64), nullable=False),
        sa.Column('release_id', sa.Uuid(), nullable=False),
        sa.Column('created_at', Instant(), nullable=False),
        sa.ForeignKeyConstraint(['api_key_id'], ['api_keys.id'], name=op.f('fk_idempotency_keys_api_key_id')),
        sa.ForeignKeyConstraint(['release_id'], ['releases.id'], name=op.f('fk_idempotency_keys_release_id')),
        sa.PrimaryKeyConstraint('api_key_id', 'key', name=op.f('pk_idempotency_keys'))
    )
    op.create_table('revisions',
        sa.Column('release_id', sa.Uuid(), nullable=False),
        sa.Column('number', sa.Integer(), nullable=False),
        sa.Column('document', sa.JSON(), nullable=False),
        sa.Column('created_at', Instant(), nullable=False),
        sa.ForeignKeyConstraint(['release_id'], ['releases.id'], name=op.f('fk_revisions_release_id')),
        sa.PrimaryKeyConstraint('release_id', 'number', name=op.f('pk_revisions'))
    )
    op.create_table('payloads',
        sa.Column('id', sa.Uuid(), nullable=False),
        sa.Column('event_id', sa.Uuid(), nullable=False),
        sa.Column('variant', sa.String(length=400), nullable=False),
        sa.Column('body', sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(['event_id'], ['events.id'], name=op.f('fk_payloads_event_id')),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_payloads')),
        sa.UniqueConstraint('event_id', 'variant', name=op.f('uq_payloads_event_id_variant'))
    )
    op.create_table('deliveries',
        sa.Column('id', sa.Uuid(), nullable=False),
        sa.Column('event_id', sa.Uuid(), nullable=False),
        sa.Column('subscription_id', sa.Uuid(), nullable=False),
        sa.Column('payload_id', sa.Uuid(), nullable=False),
        sa.Column('state', sa.String(length=16), nullable=False),
        sa.Column('created_at', Instant(), nullable=False),
        sa.Column('next_attempt_at', Instant(), nullable=True),
        sa.Column('delivered_at', Instant(), nullable=True),
        sa.Column('attempt', sa.Integer(), nullable=False),
        sa.Column('claim_owner', sa.String(length=80), nullable=True),
        sa.Column('claim_until', Instant(), nullable=True),
        sa.ForeignKeyConstraint(['event_id'], ['events.id'], name=op.f('fk_deliveries_event_id')),
        sa.ForeignKeyConstraint(['payload_id'], ['payloads.id'], name=op.f('fk_deliveries_payload_id')),
        sa.ForeignKeyConstraint(['subscription_id'], ['subscriptions.id'], name=op.f('fk_deliveries_subscription_id')),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_deliveries')),
        sa.UniqueConstraint('event_id', 'subscription_id', name=op.f('uq_deliveries_event_id_subscription_id'))
    )
    with op.batch_alter_table('deliveries', schema=None) as batch_op:
        batch_op.create_index('ix_deliveries_due', ['next_attempt_at'], unique=False, sqlite_where=sa.text("state = 'due'"), postgresql_where=sa.text("state = 'due'"))
        batch_op.create_index('ix_deliveries_subscription', ['subscription_id', 'state'], unique=False)

    op.create_table('attempts',
        sa.Column('delivery_id', sa.Uuid(), nullable=False),
        sa.Column('number', sa.Integer(), nullable=False),
        sa.Column('started_at', Instant(), nullable=False),
        sa.Column('duration_ms', sa.Integer(), nullable=False),
        sa.Column('status', sa.Integer(), nullable=True),
        sa.Column('error', sa.String(length=40), nullable=True),
        sa.ForeignKeyConstraint(['delivery_id'], ['deliveries.id'], name=op.f('fk_attempts_delivery_id')),
        sa.PrimaryKeyConstraint('delivery_id', 'number', name=op.f('pk_attempts'))
    )


def downgrade() -> None:
    op.drop_table('attempts')
    with op.batch_alter_table('deliveries', schema=None) as batch_op:
        batch_op.drop_index('ix_deliveries_subscription')
        batch_op.drop_index('ix_deliveries_due', sqlite_where=sa.text("state = 'due'"), postgresql_where=sa.text("state = 'due'"))

    op.drop_table('deliveries')
    op.drop_table('payloads')
    op.drop_table('revisions')
    op.drop_table('idempotency_keys')
    with op.batch_alter_table('events', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_events_release_id'))
        batch_op.drop_index('ix_events_open', sqlite_where=sa.text('planned_at IS NULL'), postgresql_where=sa.text('planned_at IS NULL'))

    op.drop_table('events')
    op.drop_table('editions')
    with op.batch_alter_table('subscriptions', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_subscriptions_state'))
        batch_op.drop_index(batch_op.f('ix_subscriptions_partner'))

    op.drop_table('subscriptions')
    with op.batch_alter_table('releases', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_releases_published_at'))

    op.drop_table('releases')
    op.drop_table('heartbeats')
    op.drop_table('generations')
    op.drop_table('documents')
    op.drop_table('api_keys')
