"""What readers see, and which state of it is out."""

from __future__ import annotations

import sqlalchemy as sa

from service.storage.tables.columns import Instant, metadata

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
