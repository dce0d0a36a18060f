"""Curl's transfers side by side, each driven on by what its socket tells."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pycurl

# An idle connection is kept for the next push of a burst.
_MOST_IDLE = 256
_EVENTS = {
    pycurl.POLL_IN: select.POLLIN,
    pycurl.POLL_OUT: select.POLLOUT,
    pycurl.POLL_INOUT: select.POLLIN | select.POLLOUT,
}


class Multi:
    """Curl's multi handle over epoll; only `wake` is for other threads.

    The ``selectors`` of the standard library keep and make an object for each event: some microseconds of every push.
    """

    def __init__(self) -> None:
        # Elsewhere than on Linux, poll takes the same calls, and milliseconds.
        self._poll: Any = select.epoll() if hasattr(select, "epoll") else select.poll()
        self._per_second = 1 if hasattr(select, "epoll") else 1000
        self._alarm, self._bell = socket.socketpair()
        self._alarm.setblocking(False)
        self._bell.setblocking(False)
        self._poll.register(self._alarm.fileno(), select.POLLIN)
        self._watched: set[int] = set()
        self._timer_at: float | None = None
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._set_timer)
        self._multi.setopt(pycurl.M_MAXCONNECTS, _MOST_IDLE)

    def add(self, curl: pycurl.Curl) -> None:
        self._multi.add_handle(curl)

    def remove(self, curl: pycurl.Curl) -> None:
        self._multi.remove_handle(curl)

    def drive(self, seconds: float) -> bool:
        """Wait so long at most for anything to happen and let curl act on it; whether the bell rang."""
        if self._timer_at is not None:
            seconds = min(seconds, self._timer_at - time.monotonic())
        rung, act, alarm = False, self._multi.socket_action, self._alarm.fileno()
        for fd, events in self._poll.poll(max(0.0, seconds) * self._per_second):
            if fd == alarm:
                rung = bool(self._alarm.recv(4096))
            else:
                act(fd, _curl_events(events))
        if self._timer_at is not None and self._timer_at <= time.monotonic():
            self._timer_at = None
            act(pycurl.SOCKET_TIMEOUT, 0)
        return rung

    def collect(self) -> Iterator[tuple[pycurl.Curl, int]]:
        """Those that have ended, each with curl's code."""
        more = True
        while more:
            more, succeeded, failed = self._multi.info_read()
            for curl in succeeded:
                yield curl, pycurl.E_OK
            for curl, code, _ in failed:
                yield curl, code

    def wake(self) -> None:
        """Make `drive` return now, or at once when it is next called. Callable from any thread."""
        # A full pipe wakes as well as one more byte; after `close` there is nobody to wake.
        with suppress(OSError):
            self._bell.send(b"\0")

    def close(self) -> None:
        """Of the transfers, all have been removed. A name's look-up is waited for."""
        self._multi.close()
        self._alarm.close()
        self._bell.close()
        if hasattr(self._poll, "close"):
            self._poll.close()

    def _watch(self, event: int, fd: int, multi: pycurl.CurlMulti, data: object) -> None:
        if event == pycurl.POLL_REMOVE:
            if fd in self._watched:
                self._watched.discard(fd)
                self._poll.unregister(fd)
        elif fd in self._watched:
            self._poll.modify(fd, _EVENTS[event])
        else:
            self._watched.add(fd)
            self._poll.register(fd, _EVENTS[event])

    def _set_timer(self, timeout_ms: int) -> None:
        self._timer_at = None if timeout_ms < 0 else time.monotonic() + timeout_ms / 1000


def _curl_events(events: int) -> int:
    """Of an error curl learns by itself, as it asks the socket."""
    reads = pycurl.CSELECT_IN if events & select.POLLIN else 0
    return reads | (pycurl.CSELECT_OUT if events & select.POLLOUT else 0)
