"""What happened, to whom it is owed, and every attempt to send it."""

from __future__ import annotations

import sqlalchemy as sa

from service.storage.tables.columns import Instant, id_column, metadata

events = sa.Table(
    "events", metadata, id_column(),
    sa.Column("type", sa.String(40), nullable=False),
    sa.Column("release_id", sa.ForeignKey("releases.id"), index=True),
    sa.Column("revision", sa.Integer),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("published_at", Instant),
    sa.Column("planned_at", Instant),
    # The last of the subscriptions, by their ids, whose turn has come.
    sa.Column("planned_to", sa.Uuid),
    sa.Column("after_revision", sa.Integer),
    sa.Column("set_aside_at", Instant),
)
# Replays read them by time.
sa.Index(
    "ix_events_planned", events.c.created_at, events.c.id,
    sqlite_where=events.c.planned_at.is_not(None), postgresql_where=events.c.planned_at.is_not(None),
)
sa.Index(
    "ix_events_open", events.c.created_at,
    sqlite_where=events.c.planned_at.is_(None), postgresql_where=events.c.planned_at.is_(None),
)

# A body stands once for all subscriptions that get the same bytes of an event.
payloads = sa.Table(
    "payloads", metadata, id_column(),
    sa.Column("event_id", sa.ForeignKey("events.id"), nullable=False),
    sa.Column("variant", sa.String(400), nullable=False),
    sa.Column("media_type", sa.String(80), nullable=False, server_default="application/json"),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.UniqueConstraint("event_id", "variant"),
)

deliveries = sa.Table(
    "deliveries", metadata, id_column(),
    sa.Column("event_id", sa.ForeignKey("events.id"), nullable=False),
    sa.Column("subscription_id", sa.ForeignKey("subscriptions.id"), nullable=False),
    # A topic's subscribers get its document as it is when it is sent.
    sa.Column("payload_id", sa.ForeignKey("payloads.id")),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("next_attempt_at", Instant),
    sa.Column("delivered_at", Instant),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("claim_owner", sa.String(80)),
    sa.Column("claim_until", Instant),
    # Where it stands in line; NULL while it waits for its time, is in flight, or when it is over.
    sa.Column("lane", sa.SmallInteger),
    sa.Column("host", sa.String(260), nullable=False, server_default=""),
    sa.Column("replay_id", sa.ForeignKey("replays.id")),
    # Attempts that don't count: made before it was last sent anew, or died with their courier.
    sa.Column("tries_before", sa.Integer, nullable=False, server_default="0"),
    sa.UniqueConstraint("event_id", "subscription_id"),
)
_is_ready, _is_claimed = deliveries.c.lane.is_not(None), deliveries.c.claim_owner.is_not(None)
_is_waiting = sa.and_(
    deliveries.c.state == "due", deliveries.c.lane.is_(None), deliveries.c.claim_owner.is_(None),
)
# Those in line are passed by host and subscription, however many stand behind each.
sa.Index(
    "ix_deliveries_ready", deliveries.c.lane, deliveries.c.host, deliveries.c.subscription_id, deliveries.c.id,
    sqlite_where=_is_ready, postgresql_where=_is_ready,
)
sa.Index(
    "ix_deliveries_waiting", deliveries.c.next_attempt_at, sqlite_where=_is_waiting, postgresql_where=_is_waiting,
)
sa.Index(
    "ix_deliveries_claimed", deliveries.c.subscription_id, sqlite_where=_is_claimed, postgresql_where=_is_claimed,
)
_is_replayed = deliveries.c.replay_id.is_not(None)
sa.Index(
    "ix_deliveries_replay", deliveries.c.replay_id, deliveries.c.state,
    sqlite_where=_is_replayed, postgresql_where=_is_replayed,
)
sa.Index("ix_deliveries_subscription", deliveries.c.subscription_id, deliveries.c.id)
sa.Index(
    "ix_deliveries_held", deliveries.c.subscription_id, deliveries.c.id,
    sqlite_where=deliveries.c.state == "due", postgresql_where=deliveries.c.state == "due",
)

attempts = sa.Table(
    "attempts", metadata,
    sa.Column("delivery_id", sa.ForeignKey("deliveries.id"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("started_at", Instant, nullable=False),
    sa.Column("duration_ms", sa.Integer, nullable=False),
    sa.Column("status", sa.Integer),
    sa.Column("error", sa.String(40)),
    sa.Column("request_headers", sa.JSON(none_as_null=True)),
    sa.Column("response_headers", sa.JSON(none_as_null=True)),
    sa.Column("response_body", sa.Text),
    sa.Column("exchange_cleared_at", Instant),
)
_is_kept = attempts.c.exchange_cleared_at.is_(None)
sa.Index("ix_attempts_exchange", attempts.c.started_at, sqlite_where=_is_kept, postgresql_where=_is_kept)
