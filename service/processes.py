"""One long-lived child process: started, started again when it dies, asked to stop, killed if it won't."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

HEALTHY_SECONDS = 60.0
LONGEST_PAUSE_SECONDS = 30.0
PR_SET_PDEATHSIG = 1
STDERR = 2

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One long-lived child. Past ``stop_seconds`` after SIGTERM it is killed.

    ``is_ready`` holds the next stage back until it is true; without it a started program is ready.
    """

    name: str
    command: tuple[str, ...]
    stop_seconds: float
    is_ready: Callable[[], bool] | None = None


def count_quick_deaths(before: int, lived_seconds: float) -> int:
    """Deaths in a row; a program that had been healthy begins a new row."""
    return 1 if lived_seconds >= HEALTHY_SECONDS else before + 1


def pause_seconds(quick_deaths: int) -> float:
    """How long to wait before the next start: 1, 2, 4 … and 30 at most."""
    return min(2.0 ** min(quick_deaths - 1, 10), LONGEST_PAUSE_SECONDS)


class Child:
    """A program's process, in a session of its own so that the terminal's Ctrl-C doesn't reach it."""

    def __init__(self, program: Program, environ: Mapping[str, str], held: Sequence[int]) -> None:
        self.program = program
        self._environ = environ
        self._held = held
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._start_at = 0.0
        self._kill_at = 0.0
        self._quick_deaths = 0

    def start(self) -> None:
        self._started_at = time.monotonic()
        self._process = subprocess.Popen(  # noqa: S603 the command comes from our own table
            self.program.command,
            env=self._environ,
            stdin=subprocess.DEVNULL,
            stdout=STDERR,
            start_new_session=True,
            pass_fds=self._held,
            preexec_fn=end_with_parent(os.getpid()),
        )
        logger.info("%s started as process %d", self.program.name, self._process.pid)

    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def is_ready(self) -> bool:
        return self.program.is_ready is None or self.program.is_ready()

    def keep_up(self, now: float) -> float | None:
        """Start it again if it is time to; else the seconds until it will be, None while it runs."""
        if self.is_running():
            return None
        if self._process is not None:
            self._note_death(now)
        elif now >= self._start_at:
            self._start_again(now)
        return None if self._process else max(self._start_at - now, 0.0)

    def _start_again(self, now: float) -> None:
        try:
            self.start()
        except OSError as error:
            logger.error("%s can't be started: %s", self.program.name, error)
            self._plan_start(now)

    def _note_death(self, now: float) -> None:
        assert self._process is not None
        self._kill_group()
        status, self._process = self._process.returncode, None
        self._plan_start(now)
        logger.error(
            "%s ended with status %s; starting it again in %g s",
            self.program.name, status, self._start_at - now,
        )

    def _plan_start(self, now: float) -> None:
        self._quick_deaths = count_quick_deaths(self._quick_deaths, now - self._started_at)
        self._start_at = now + pause_seconds(self._quick_deaths)

    def ask_to_stop(self) -> None:
        self._kill_at = time.monotonic() + self.program.stop_seconds
        if self._process is not None:
            self._process.terminate()

    def await_end(self) -> bool:
        """True if it ended before it had to be killed."""
        if self._process is None:
            return True
        try:
            self._process.wait(max(self._kill_at - time.monotonic(), 0))
            return True
        except subprocess.TimeoutExpired:
            logger.error("%s did not stop in %g s; killing it", self.program.name, self.program.stop_seconds)
            return False
        finally:
            self._kill_group()
            self._process.wait()

    def _kill_group(self) -> None:
        # A leader that died leaves its own children, which would keep the port from its successor.
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)


def end_with_parent(parent_pid: int) -> Callable[[], None] | None:
    """What a new child runs so that it gets SIGTERM when its parent dies, where the system can do it."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl

    def ask() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        # The parent may have died before it was asked for.
        if os.getppid() != parent_pid:
            os._exit(1)

    return ask
