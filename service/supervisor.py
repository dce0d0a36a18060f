"""The whole service on one machine, as `diglot run` starts it: broker, worker, web and beat."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from service import broker
from service.config import Settings
from service.errors import ConfigurationError
from service.processes import Program
from service.stages import Stages, supervise

HOST = "127.0.0.1"
# The parts of a supervisor that was killed take a moment to end; a living one doesn't go away.
LOCK_PATIENCE_SECONDS = 5.0
ANSWER_SECONDS = 2.0

logger = logging.getLogger(__name__)


def service_stages(settings: Settings) -> Stages:
    """What runs besides the broker. The worker outlives the web and beat, which give it work."""
    return (_worker(),), (_web(settings), _beat(settings))


def run(
    settings: Settings,
    environ: Mapping[str, str],
    prepare: Callable[[], None],
    make_stages: Callable[[Settings], Stages] = service_stages,
    *,
    announce: Callable[[], None] = lambda: None,
) -> int:
    """Run the service until it is told to stop; the exit status, 0 if nothing had to be killed.

    ``prepare`` is called once the data folder is ours and before anything is started, ``announce`` once
    all answers. Raises ConfigurationError if the data folder or the port is taken, or the broker can't be started.
    """
    with hold_data(settings.data_dir) as lock:
        check_port(settings.port)
        prepare()
        with _broker(settings) as (broker_stages, redis_url):
            stages = [*broker_stages, *make_stages(settings)]
            return supervise(
                stages, _resolve_environ(environ, settings, redis_url), held=(lock,), announce=announce
            )


@contextmanager
def hold_data(data_dir: Path, *, patience_seconds: float = LOCK_PATIENCE_SECONDS) -> Iterator[int]:
    """Lock the data folder; the file descriptor of its lock.

    A child that inherits it holds the lock too, so that no second broker writes to the files of one
    that outlived its supervisor.
    """
    try:
        (data_dir / "run").mkdir(mode=0o700, parents=True, exist_ok=True)
        # The secrets of webhooks lie in it, and an older folder may be open to every user of the machine.
        data_dir.chmod(0o700)
        descriptor = os.open(data_dir / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise ConfigurationError(reason=f"{data_dir} can't be written to: {error.strerror}") from error
    try:
        _lock(descriptor, data_dir, patience_seconds)
        yield descriptor
    finally:
        os.close(descriptor)


def _lock(descriptor: int, data_dir: Path, patience_seconds: float) -> None:
    deadline = time.monotonic() + patience_seconds
    told = False
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise ConfigurationError(
                    reason=f"Another Diglot, or a part of one, still runs on {data_dir}. Stop it first, or "
                    "set DIGLOT_DATA_DIR and DIGLOT_PORT to run a second one beside it."
                ) from None
        if not told:
            told = True
            logger.warning("%s is in use; waiting %g s in case its user is just ending", data_dir, patience_seconds)
        time.sleep(0.1)


def check_port(port: int) -> None:
    """Raises ConfigurationError if the port is taken: two web servers could share it unnoticed."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            why = "is in use" if error.errno == errno.EADDRINUSE else f"can't be used: {error.strerror}"
            raise ConfigurationError(reason=f"Port {port} {why}. Set DIGLOT_PORT to a free one.") from error


@contextmanager
def _broker(settings: Settings) -> Iterator[tuple[Stages, str]]:
    """The broker's stage, if it is ours to run, and its URL."""
    if settings.redis_url:
        yield (), settings.redis_url
        return
    with broker.private_socket(settings.data_dir) as path:
        command = broker.broker_command(broker.find_server(), path, settings.data_dir)
        program = Program(
            name="broker", command=command, stop_seconds=10, is_ready=lambda: broker.answers(path)
        )
        yield ((program,),), broker.broker_url(path)


def _resolve_environ(environ: Mapping[str, str], settings: Settings, redis_url: str) -> dict[str, str]:
    return dict(environ) | {
        "DIGLOT_PORT": str(settings.port),
        "DIGLOT_DATA_DIR": str(settings.data_dir),
        "DIGLOT_PROFILE": str(settings.profile_path),
        "DIGLOT_DATABASE_URL": settings.database_url,
        "DIGLOT_REDIS_URL": redis_url,
        "DIGLOT_MAX_BODY_BYTES": str(settings.max_body_bytes),
    }


def _web(settings: Settings) -> Program:
    options = ("--host", HOST, "--port", str(settings.port), "--workers", "2")
    command = (sys.executable, "-m", "service.server", *options, "service.asgi:app")
    return Program(
        name="web", command=command, stop_seconds=15, is_ready=lambda: answers_http(settings.port)
    )


def answers_http(port: int) -> bool:
    """Whether the web serves: its port is open long before."""
    try:
        with socket.create_connection((HOST, port), timeout=ANSWER_SECONDS) as asking:
            asking.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            return asking.recv(12) == b"HTTP/1.1 200"
    except OSError:
        return False


def _worker() -> Program:
    options = ("--pool", "threads", "--concurrency", "8", "-Q", "publish,deliver,sweep", "--loglevel", "WARNING")
    flags = ("--without-gossip", "--without-mingle")
    return Program(name="worker", command=(*_celery("worker"), *options, *flags), stop_seconds=30)


def _beat(settings: Settings) -> Program:
    schedule = str(settings.data_dir / "run" / "beat")
    options = ("-s", schedule, "--loglevel", "WARNING", "--pidfile=")
    return Program(name="beat", command=(*_celery("beat"), *options), stop_seconds=10)


def _celery(role: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "celery", "--quiet", "-A", "workers.app", role)
