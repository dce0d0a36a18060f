"""What every task of a worker process shares, made when it is first needed."""

from __future__ import annotations

import functools
import os
import socket

from service.clock import new_id
from service.config import Profile, Settings, load_profile, read_settings
from service.errors import ConfigurationError
from service.queue import Queue
from service.storage import Storage
from service.vault import open_vault


@functools.cache
def settings() -> Settings:
    return read_settings()


@functools.cache
def redis_url() -> str:
    """Raises ConfigurationError: a worker on its own has no embedded broker."""
    url = settings().redis_url
    if url is None:
        raise ConfigurationError(reason="a worker needs DIGLOT_REDIS_URL; `diglot run` brings a broker of its own")
    return url


@functools.cache
def profile() -> Profile:
    return load_profile(settings().profile_path)


@functools.cache
def storage() -> Storage:
    return Storage(settings().database_url, busy_seconds=30, vault=open_vault(settings()))


@functools.cache
def queue() -> Queue:
    return Queue(redis_url())


@functools.cache
def owner() -> str:
    """This process among all that claim deliveries, also after a restart with the same process id."""
    return f"{socket.gethostname()}:{os.getpid()}:{new_id().hex[-8:]}"
