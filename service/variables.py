"""What a `DIGLOT_*` variable may hold. Each function raises ConfigurationError, which never repeats a secret."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from pathlib import Path

from service.errors import ConfigurationError

LEAST_KEY_LENGTH = 20
# What kombu serves by Redis. Of any other word it makes an AMQP address, and tries that for ever.
_REDIS_SCHEMES = ("redis://", "rediss://", "redis+socket://", "sentinel://")
_DATABASE_SCHEMES = ("sqlite:///", "postgresql+psycopg://")
# As PostgreSQL's own tools write it; SQLAlchemy would look for another driver.
_POSTGRESQL_SCHEMES = ("postgresql://", "postgres://")


def read_redis_url(environ: Mapping[str, str]) -> str | None:
    url = environ.get("DIGLOT_REDIS_URL") or None
    if url and not url.startswith(_REDIS_SCHEMES):
        raise _wrong_scheme("DIGLOT_REDIS_URL", url, _REDIS_SCHEMES)
    return url


def read_database_url(environ: Mapping[str, str], data_dir: Path) -> str:
    """SQLite in the data folder where none is named."""
    url = environ.get("DIGLOT_DATABASE_URL") or f"sqlite:///{data_dir / 'diglot.sqlite3'}"
    scheme, separator, rest = url.partition("://")
    if scheme + separator in _POSTGRESQL_SCHEMES:
        return f"postgresql+psycopg://{rest}"
    if not url.startswith(_DATABASE_SCHEMES):
        raise _wrong_scheme("DIGLOT_DATABASE_URL", url, _DATABASE_SCHEMES)
    return url


def read_admin_key(environ: Mapping[str, str]) -> str | None:
    key = environ.get("DIGLOT_ADMIN_KEY") or None
    if key and not (len(key) >= LEAST_KEY_LENGTH and key.isascii() and key.isprintable() and " " not in key):
        raise ConfigurationError(
            reason=f"DIGLOT_ADMIN_KEY must have at least {LEAST_KEY_LENGTH} letters, digits and signs, such as "
            "`openssl rand -hex 32` makes; leave it out, and a key is made and shown at the first start"
        )
    return key


def read_secret_keys(environ: Mapping[str, str]) -> tuple[str, ...]:
    text = environ.get("DIGLOT_SECRET_KEY") or ""
    return parse_secret_keys(text, "DIGLOT_SECRET_KEY") if text else ()


def parse_secret_keys(text: str, where: str) -> tuple[str, ...]:
    """One or several, apart by commas or white space, each the base64 of 32 bytes in either alphabet (RFC 4648)."""
    keys = tuple(word.replace("+", "-").replace("/", "_") for word in text.replace(",", " ").split())
    if not keys or not all(map(_is_secret_key, keys)):
        raise ConfigurationError(
            reason=f"{where} must hold the base64 of 32 bytes, such as `openssl rand -base64 32` makes, or several of "
            "them with commas between"
        )
    return keys


def _is_secret_key(word: str) -> bool:
    try:
        return len(base64.b64decode(word, "-_", validate=True)) == 32
    except (binascii.Error, ValueError):
        return False


def _wrong_scheme(name: str, url: str, schemes: tuple[str, ...]) -> ConfigurationError:
    scheme, separator, _ = url.partition("://")
    given = f"{scheme}{separator}…" if separator else "what it holds"
    return ConfigurationError(reason=f"{name} must begin with {' or '.join(schemes)}, not with {given}")
