"""Programs that must stay up: started stage by stage, watched, stopped in reverse."""

from __future__ import annotations

import logging
import select
import signal
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Self

from service.errors import ConfigurationError
from service.processes import Child, Program

READY_SECONDS = 60.0
READY_CHECK_SECONDS = 0.05

logger = logging.getLogger(__name__)

Stages = Sequence[Sequence[Program]]


def supervise(
    stages: Stages, environ: Mapping[str, str], *, held: Sequence[int] = (), announce: Callable[[], None] = lambda: None
) -> int:
    """Keep the programs up until SIGINT, SIGTERM or SIGHUP: 0 if all then ended by themselves, else 1.

    Only the main thread can call it. The children inherit the ``held`` file descriptors. ``announce`` is
    called once all are ready. Raises
    ConfigurationError, with everything stopped again, if a program doesn't become ready.
    """
    children = [[Child(program, environ, held) for program in stage] for stage in stages]
    ended_well = False
    with _Signals() as signals:
        try:
            if _start(children, signals):
                announce()
                _keep_up([child for stage in children for child in stage], signals)
        finally:
            logger.info("stopping; what is in flight is finished first")
            ended_well = _stop(children)
    return 0 if ended_well else 1


def _start(stages: Sequence[Sequence[Child]], signals: _Signals) -> bool:
    """False if a stop was asked for meanwhile."""
    for stage in stages:
        for child in stage:
            child.start()
        if not all(_await_ready(child, signals) for child in stage):
            return False
    return True


def _await_ready(child: Child, signals: _Signals) -> bool:
    deadline = time.monotonic() + READY_SECONDS
    while not child.is_ready():
        if signals.wait(READY_CHECK_SECONDS):
            return False
        if not child.is_running() or time.monotonic() > deadline:
            raise ConfigurationError(reason=f"{child.program.name} did not start; its log above says why")
    return True


def _keep_up(children: Sequence[Child], signals: _Signals) -> None:
    while True:
        pauses = [pause for child in children if (pause := child.keep_up(time.monotonic())) is not None]
        if signals.wait(min(pauses, default=None)):
            return


def _stop(stages: Sequence[Sequence[Child]]) -> bool:
    """True if nothing had to be killed."""
    ended_well = True
    for stage in reversed(stages):
        for child in stage:
            child.ask_to_stop()
        for child in stage:
            ended_well &= child.await_end()
    return ended_well


class _Signals:
    """Waits for a stop or for a child's end, whichever comes first. Further stops change nothing."""

    def __enter__(self) -> Self:
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self._stops = {signal.SIGINT, signal.SIGTERM}
        # Under nohup the hang-up is ignored on purpose.
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            self._stops.add(signal.SIGHUP)
        self._fd_before = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        watched = {*self._stops, signal.SIGCHLD}
        self._handlers_before = {number: signal.signal(number, _leave_to_wait) for number in watched}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._handlers_before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._fd_before)
        self._reader.close()
        self._writer.close()

    def wait(self, seconds: float | None) -> bool:
        """True if a stop was asked for since the last call."""
        readable, _, _ = select.select([self._reader], [], [], seconds)
        return bool(readable and self._stops.intersection(self._reader.recv(4096)))


def _leave_to_wait(_number: int, _frame: object) -> None:
    """Python writes the signal's number to the socket; without a handler it would not."""
