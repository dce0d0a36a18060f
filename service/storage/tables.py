"""The tables. Times are stored as UTC and come back aware; JSON keeps the order of its keys."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from service.storage.sealed import Sealed

metadata = sa.MetaData(naming_convention={
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
})


class Instant(sa.TypeDecorator[datetime]):
    """An aware UTC datetime; SQLite, which has no zones, stores it without one."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        if value is None or dialect.name != "sqlite":
            return value
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _id() -> sa.Column[Any]:
    return sa.Column("id", sa.Uuid, primary_key=True)


releases = sa.Table(
    "releases", metadata, _id(),
    sa.Column("slug", sa.String(160), nullable=False, unique=True),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    # The revision that readers see; it moves only together with the feeds.
    sa.Column("public_revision", sa.Integer),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("updated_at", Instant, nullable=False),
    sa.Column("published_at", Instant),
    sa.Column("set_aside_at", Instant),
    sa.Column("publish_at", Instant),
    sa.Column("withdrawn_at", Instant),
    sa.Column("withdrawal", sa.JSON(none_as_null=True)),
    # Counts releases in the order of their first publication; archives are cut by it.
    sa.Column("position", sa.Integer, unique=True),
    # The whole second of the last change that readers could see: an archive's Last-Modified.
    sa.Column("modified_at", Instant),
    # Since when those editions are as they are that the last change left alone.
    sa.Column("edition_updates", sa.JSON(none_as_null=True)),
)
sa.Index(
    "ix_releases_scheduled", releases.c.publish_at,
    sqlite_where=releases.c.state == "scheduled", postgresql_where=releases.c.state == "scheduled",
)

# The lists that staff narrow are read in order, not sorted: a state or a language may be that of a few among a million.
sa.Index("ix_releases_state", releases.c.state, releases.c.id)

revisions = sa.Table(
    "revisions", metadata,
    sa.Column("release_id", sa.ForeignKey("releases.id"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("document", sa.JSON, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
)

# What the list of releases is searched by: the newest revision's text.
editions = sa.Table(
    "editions", metadata,
    sa.Column("release_id", sa.ForeignKey("releases.id"), primary_key=True),
    sa.Column("language", sa.String(35), primary_key=True),
    sa.Column("headline", sa.Text, nullable=False),
    sa.Column("body_text", sa.Text, nullable=False),
)
sa.Index("ix_editions_language", editions.c.language, editions.c.release_id)

# Uploaded files, which lie in the data folder under `file_name`.
media = sa.Table(
    "media", metadata, _id(),
    sa.Column("file_name", sa.String(40), nullable=False, unique=True),
    sa.Column("digest", sa.String(64), nullable=False, unique=True),
    sa.Column("type", sa.String(100), nullable=False),
    sa.Column("byte_length", sa.BigInteger, nullable=False),
    sa.Column("width", sa.Integer),
    sa.Column("height", sa.Integer),
    sa.Column("name", sa.String(200)),
    sa.Column("created_at", Instant, nullable=False),
)

# Which revision shows which file. Served is what a public revision shows.
release_media = sa.Table(
    "release_media", metadata,
    sa.Column("media_id", sa.ForeignKey("media.id"), primary_key=True),
    sa.Column("release_id", sa.ForeignKey("releases.id"), primary_key=True),
    sa.Column("revision", sa.Integer, primary_key=True),
)

# What each feed and list shows: a row per language, once for all categories ("") and once for each of them.
# It moves only together with the documents.
listings = sa.Table(
    "listings", metadata,
    sa.Column("category", sa.String(120), primary_key=True),
    sa.Column("language", sa.String(35), primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    sa.Column("release_id", sa.ForeignKey("releases.id"), nullable=False, index=True),
    sa.Column("updated_at", Instant, nullable=False),
    sa.Column("withdrawn_at", Instant),
)
sa.Index(
    "ix_listings_live", listings.c.category, listings.c.language, listings.c.updated_at,
    sqlite_where=listings.c.withdrawn_at.is_(None), postgresql_where=listings.c.withdrawn_at.is_(None),
)
sa.Index(
    "ix_listings_withdrawn", listings.c.category, listings.c.language, listings.c.withdrawn_at,
    sqlite_where=listings.c.withdrawn_at.is_not(None), postgresql_where=listings.c.withdrawn_at.is_not(None),
)

# What the archives of a category are cut by: a number is given once, in the order in which releases first went public
# in it, and kept though the release leaves. What `left_at` has a second was taken out by a correction then.
slots = sa.Table(
    "slots", metadata,
    sa.Column("category", sa.String(120), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("release_id", sa.ForeignKey("releases.id"), nullable=False),
    sa.Column("left_at", Instant),
    sa.UniqueConstraint("release_id", "category"),
)

# When a feed last changed in what it shows, a removal among it (RFC 4287 section 4.2.15).
feeds = sa.Table(
    "feeds", metadata,
    sa.Column("category", sa.String(120), primary_key=True),
    sa.Column("language", sa.String(35), primary_key=True),
    sa.Column("updated_at", Instant, nullable=False),
)

# Append-only: triggers refuse changes.
audit = sa.Table(
    "audit", metadata, _id(),
    sa.Column("at", Instant, nullable=False),
    sa.Column("action", sa.String(40), nullable=False),
    # What befalls a subscription concerns no release.
    sa.Column("release_id", sa.ForeignKey("releases.id"), index=True),
    sa.Column("revision", sa.Integer),
    sa.Column("actor", sa.String(200), nullable=False),
    sa.Column("key_id", sa.ForeignKey("api_keys.id")),
    sa.Column("details", sa.JSON, nullable=False),
)

events = sa.Table(
    "events", metadata, _id(),
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

subscriptions = sa.Table(
    "subscriptions", metadata, _id(),
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
    "intents", metadata, _id(),
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
    "replays", metadata, _id(),
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
    "notices", metadata, _id(),
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

# A body stands once for all subscriptions that get the same bytes of an event.
payloads = sa.Table(
    "payloads", metadata, _id(),
    sa.Column("event_id", sa.ForeignKey("events.id"), nullable=False),
    sa.Column("variant", sa.String(400), nullable=False),
    sa.Column("media_type", sa.String(80), nullable=False, server_default="application/json"),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.UniqueConstraint("event_id", "variant"),
)

deliveries = sa.Table(
    "deliveries", metadata, _id(),
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
    # Attempts that were made before it was last sent anew.
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

documents = sa.Table(
    "documents", metadata,
    sa.Column("path", sa.String(200), primary_key=True),
    sa.Column("media_type", sa.String(80), nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("gzip_body", sa.LargeBinary, nullable=False),
    sa.Column("etag", sa.String(80), nullable=False),
    sa.Column("gzip_etag", sa.String(80), nullable=False),
    sa.Column("last_modified", Instant, nullable=False),
    sa.Column("link", sa.Text),
)

# One row: which state of all documents is out, the last instant and the last position given to a release,
# the second of the last swap, and that of the last one after another profile or version.
generations = sa.Table(
    "generations", metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("published_at", Instant, nullable=False),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("swapped_at", Instant, nullable=False),
    sa.Column("redrawn_at", Instant, nullable=False),
)

idempotency_keys = sa.Table(
    "idempotency_keys", metadata,
    sa.Column("api_key_id", sa.ForeignKey("api_keys.id"), primary_key=True),
    sa.Column("key", sa.String(255), primary_key=True),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("release_id", sa.ForeignKey("releases.id"), nullable=False),
    sa.Column("created_at", Instant, nullable=False),
)

api_keys = sa.Table(
    "api_keys", metadata, _id(),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("role", sa.String(16), nullable=False),
    sa.Column("partner", sa.String(200)),
    sa.Column("digest", sa.String(64), nullable=False, unique=True),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("revoked_at", Instant),
)

heartbeats = sa.Table(
    "heartbeats", metadata,
    sa.Column("name", sa.String(40), primary_key=True),
    sa.Column("beat_at", Instant, nullable=False),
)
