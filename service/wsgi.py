"""The entry point for a WSGI server: `granian --interface wsgi service.wsgi:app`."""

from __future__ import annotations

import logging

from service.app import create_app
from service.clock import utc_now
from service.config import load_profile, read_settings
from service.edge import Services
from service.errors import ConfigurationError
from service.queue import Queue
from service.storage import Storage

logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")

settings = read_settings()
if settings.redis_url is None:
    raise ConfigurationError(reason="the web service needs DIGLOT_REDIS_URL; `diglot run` brings a broker of its own")

app = create_app(Services(
    settings=settings,
    profile=load_profile(settings.profile_path),
    storage=Storage(settings.database_url),
    queue=Queue(settings.redis_url),
    clock=utc_now,
))
