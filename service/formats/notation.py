"""How the documents of a feed are addressed, and how a time is written in each."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from types import MappingProxyType

FORMATS: Mapping[str, str] = MappingProxyType(
    {
        "atom": "application/atom+xml",
        "rss": "application/rss+xml",
        "json": "application/feed+json",
    }
)
"""Each format's name, which is also its documents' extension, and its media type."""


def document_url(address: str, format: str) -> str:
    """The URL of a feed's document in a format; a feed's ``address`` has no extension."""
    return f"{address}.{format}"


def rfc3339(at: datetime) -> str:
    """RFC 4287 section 3.3 and JSON Feed 1.1: UTC, with milliseconds only where the time has any."""
    precision = "milliseconds" if at.microsecond // 1000 else "seconds"
    return _utc(at).isoformat(timespec=precision).replace("+00:00", "Z")


def rfc822(at: datetime) -> str:
    """RSS 2.0 and the RSS profile's "Date-Time": RFC 822 with a four-digit year, English names, ``+0000``."""
    return format_datetime(_utc(at))


def _utc(at: datetime) -> datetime:
    # astimezone() would take a naive time for the machine's own, and the bytes would depend on where we run.
    if at.utcoffset() is None:
        raise ValueError(f"a time without an offset: {at!r}")
    return at.astimezone(UTC)
