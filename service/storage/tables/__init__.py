"""The tables, by what they are about."""

from service.storage.tables.columns import Instant, heartbeats, metadata
from service.storage.tables.deliveries import attempts, deliveries, events, payloads
from service.storage.tables.feeds import documents, feeds, generations, listings, slots
from service.storage.tables.releases import (
    api_keys,
    audit,
    editions,
    idempotency_keys,
    media,
    release_media,
    releases,
    revisions,
)
from service.storage.tables.subscriptions import hosts, intents, notices, replays, subscriptions

__all__ = [
    "Instant",
    "api_keys",
    "attempts",
    "audit",
    "deliveries",
    "documents",
    "editions",
    "events",
    "feeds",
    "generations",
    "heartbeats",
    "hosts",
    "idempotency_keys",
    "intents",
    "listings",
    "media",
    "metadata",
    "notices",
    "payloads",
    "release_media",
    "releases",
    "replays",
    "revisions",
    "slots",
    "subscriptions",
]
