"""API keys: made once, shown once, kept as a digest."""

from __future__ import annotations

import hashlib
import secrets
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from service.clock import new_id
from service.errors import Invalid, NotFound
from service.model import ApiKey, Role
from service.schema_faults import find_line_faults, find_schema_faults
from service.storage import Storage, keys

FROM_ENVIRONMENT = "DIGLOT_ADMIN_KEY"


def validate_key(document: Any) -> Mapping[str, Any]:
    """The document, if a key can be made of it. Raises Invalid with every fault."""
    faults = [*find_schema_faults("key", document), *find_line_faults(document, "name", "partner")]
    if faults:
        raise Invalid(faults)
    return document


def make_key(
    storage: Storage, name: str, role: Role, now: datetime, partner: str | None = None
) -> tuple[ApiKey, str]:
    """The key's record, and the key itself, which can't be had again."""
    plain = "diglot_" + secrets.token_urlsafe(32)
    key = ApiKey(id=new_id(), name=name, role=role, partner=partner, created_at=now)
    with storage.write() as tx:
        keys.insert_key(tx, key, digest_key(plain))
    return key, plain


def revoke_key(storage: Storage, key_id: uuid.UUID, now: datetime) -> None:
    """Raises NotFound where there is no such live key."""
    with storage.write() as tx:
        if not keys.revoke_key(tx, key_id, now):
            raise NotFound(kind="key", id=str(key_id))


def find_caller(storage: Storage, plain: str) -> ApiKey | None:
    with storage.read() as tx:
        return keys.find_live_key(tx, digest_key(plain))


def ensure_admin(storage: Storage, configured: str | None, now: datetime) -> str | None:
    """See that an admin key works: the configured one, else one that exists, else a new one, which is returned."""
    if configured is None:
        with storage.read() as tx:
            exists = keys.has_live_admin(tx)
        return None if exists else make_key(storage, "first admin", Role.ADMIN, now)[1]
    digest = digest_key(configured)
    with storage.write() as tx:
        keys.revoke_named(tx, FROM_ENVIRONMENT, now)
        if not keys.revive_key(tx, digest):
            key = ApiKey(id=new_id(), name=FROM_ENVIRONMENT, role=Role.ADMIN, created_at=now)
            keys.insert_key(tx, key, digest)
    return None


def digest_key(plain: str) -> str:
    """Keys are 256 random bits, which a plain hash hides as well as a slow one."""
    return hashlib.sha256(plain.encode()).hexdigest()
