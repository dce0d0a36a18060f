"""The application that `service.server` serves."""

from __future__ import annotations

import logging
from uuid import UUID

from service import keys
from service.app import create_app
from service.clock import utc_now
from service.config import load_profile, read_settings
from service.doorway import Doorway
from service.edge import Services
from service.errors import ConfigurationError, StorageUnavailable
from service.hatch import Hatch
from service.queue import Queue
from service.starting import refuse_plainly
from service.storage import Storage
from service.vault import open_vault

logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")

with refuse_plainly():
    settings = read_settings()
    if settings.redis_url is None:
        raise ConfigurationError(
            reason="the web service needs DIGLOT_REDIS_URL; `diglot run` brings a broker of its own"
        )
    services = Services(
        settings=settings,
        profile=load_profile(settings.profile_path),
        storage=Storage(settings.database_url, vault=open_vault(settings)),
        queue=Queue(settings.redis_url),
        clock=utc_now,
    )


def find_caller(authorization: str) -> UUID | None:
    """Whose body it is, to count it; whether the key may do it, the application says."""
    try:
        key = keys.find_caller(services.storage, authorization.partition(" ")[2].strip())
    except StorageUnavailable:
        return None
    return key.id if key else None


# The application tells the two limits apart.
app = Hatch(
    Doorway(create_app(services), max(settings.max_body_bytes, settings.max_media_bytes), find_caller),
    services.memory, services.storage.watch_generation(),
)
