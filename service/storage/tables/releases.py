"""What the newsroom writes, who did what to it, and with which key."""

from __future__ import annotations

import sqlalchemy as sa

from service.storage.tables.columns import Instant, id_column, metadata

releases = sa.Table(
    "releases", metadata, id_column(),
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
    "media", metadata, id_column(),
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

# Append-only: triggers refuse changes.
audit = sa.Table(
    "audit", metadata, id_column(),
    sa.Column("at", Instant, nullable=False),
    sa.Column("action", sa.String(40), nullable=False),
    # What befalls a subscription concerns no release.
    sa.Column("release_id", sa.ForeignKey("releases.id"), index=True),
    sa.Column("revision", sa.Integer),
    sa.Column("actor", sa.String(200), nullable=False),
    sa.Column("key_id", sa.ForeignKey("api_keys.id")),
    sa.Column("details", sa.JSON, nullable=False),
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
    "api_keys", metadata, id_column(),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("role", sa.String(16), nullable=False),
    sa.Column("partner", sa.String(200)),
    sa.Column("digest", sa.String(64), nullable=False, unique=True),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("revoked_at", Instant),
)
