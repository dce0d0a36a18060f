"""Who wants to be told, and what befalls them."""

from __future__ import annotations

import sqlalchemy as sa

from service.storage.sealed import Sealed
from service.storage.tables.columns import Instant, id_column, metadata

subscriptions = sa.Table(
    "subscriptions", metadata, id_column(),
    sa.Column("partner", sa.String(200), nullable=False, index=True),
    sa.Column("channel", sa.String(20), nullable=False),
    sa.Column("callback", sa.String(2000), nullable=False),
    sa.Column("languages", sa.JSON, nullable=False),
    sa.Column("categories", sa.JSON, nullable=False),
    sa.Column("secret", Sealed, nullable=False),
    sa.Column("settings", sa.JSON, nullable=False, server_default="{}"),
    sa.Column("state", sa.String(16), nullable=False, index=True),
    sa.Column("ended_reason", sa.String(40)),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("format", sa.String(16), nullable=False, server_default="diglot"),
    sa.Column("language_choice", sa.String(20), nullable=False, server_default="all"),
    sa.Column("public_key", sa.String(60)),
    sa.Column("former_secrets", Sealed, nullable=False, server_default=""),
    sa.Column("overlap_ends_at", Instant),
    # The callback's, as `name:port`.
    sa.Column("host", sa.String(260), nullable=False, server_default=""),
    # By the receiver's Retry-After, nothing is sent before.
    sa.Column("held_until", Instant),
    sa.Column("failing_since", Instant),
    # Of the failures since then, those that are far enough from each other, and the last of them.
    sa.Column("failures_counted", sa.SmallInteger, nullable=False, server_default="1"),
    sa.Column("failure_counted_at", Instant),
    sa.Column("paused_at", Instant),
    sa.Column("topic", sa.String(200)),
    sa.Column("lease_until", Instant, index=True),
)
# WebSub: a subscriber is its topic and its callback.
sa.Index(
    "uq_subscriptions_topic", subscriptions.c.topic, subscriptions.c.callback, unique=True,
    sqlite_where=subscriptions.c.state == "active", postgresql_where=subscriptions.c.state == "active",
)

# What WebSub subscribers are said to want, until they were asked, and a while longer to count by.
intents = sa.Table(
    "intents", metadata, id_column(),
    sa.Column("mode", sa.String(16), nullable=False),
    sa.Column("topic", sa.String(200), nullable=False),
    sa.Column("callback", sa.String(2000), nullable=False),
    sa.Column("host", sa.String(253), nullable=False),
    sa.Column("secret", Sealed, nullable=False),
    sa.Column("lease_seconds", sa.Integer, nullable=False),
    sa.Column("reason", sa.String(400)),
    sa.Column("created_at", Instant, nullable=False, index=True),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("next_attempt_at", Instant),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("claim_owner", sa.String(80)),
    sa.Column("claim_until", Instant),
)
sa.Index("ix_intents_host", intents.c.host, intents.c.created_at)
sa.Index("ix_intents_subscriber", intents.c.topic, intents.c.callback)
sa.Index(
    "ix_intents_due", intents.c.host, intents.c.next_attempt_at,
    sqlite_where=intents.c.state == "due", postgresql_where=intents.c.state == "due",
)

# Each of them sends what it names by `deliveries.replay_id`; the figures are kept when it has finished.
replays = sa.Table(
    "replays", metadata, id_column(),
    sa.Column("subscription_id", sa.ForeignKey("subscriptions.id"), nullable=False),
    sa.Column("since", Instant, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("after_at", Instant),
    sa.Column("after_id", sa.Uuid),
    sa.Column("planned_at", Instant),
    sa.Column("finished_at", Instant),
    *(sa.Column(name, sa.Integer, nullable=False) for name in ("total", "sent", "failed", "superseded")),
)
_is_open = replays.c.finished_at.is_(None)
sa.Index(
    "ix_replays_open", replays.c.subscription_id, unique=True, sqlite_where=_is_open, postgresql_where=_is_open,
)

# What the owner of a subscription is to be told by mail, beside /v1/notices; `sent_at` is NULL until somebody does.
# Without `next_attempt_at` nobody tries any more: it is told, given up, or for the record alone.
notices = sa.Table(
    "notices", metadata, id_column(),
    sa.Column("type", sa.String(40), nullable=False),
    sa.Column("subscription_id", sa.ForeignKey("subscriptions.id"), nullable=False, index=True),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("sent_at", Instant),
    sa.Column("status", sa.Integer),
    sa.Column("error", sa.String(40)),
    sa.Column("attempt", sa.Integer, nullable=False, server_default="0"),
    sa.Column("next_attempt_at", Instant),
    # Of one that was given up; no reference, for the notice may outlive it.
    sa.Column("delivery_id", sa.Uuid),
)
sa.Index(
    "ix_notices_untold", notices.c.next_attempt_at,
    sqlite_where=notices.c.next_attempt_at.is_not(None), postgresql_where=notices.c.next_attempt_at.is_not(None),
)

# Hosts that failed of late; one that isn't here is well.
hosts = sa.Table(
    "hosts", metadata,
    sa.Column("host", sa.String(260), primary_key=True),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("held_until", Instant),
)
