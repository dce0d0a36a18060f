"""The one way out: many guarded POSTs at once on one curl multi handle, driven by one thread."""

from __future__ import annotations

import contextlib
import selectors
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import certifi
import pycurl

from service.networks import AllowedNetworks, vet_address

DEADLINE_SECONDS = 15.0
RESPONSE_LIMIT = 16 * 1024
HEADER_LIMIT = 64 * 1024
# A kept connection was vetted when it was opened; the name may lead elsewhere soon.
LONGEST_REUSE_SECONDS = 30

_ERRORS = {
    pycurl.E_COULDNT_RESOLVE_HOST: "dns_failed",
    pycurl.E_COULDNT_CONNECT: "connect_failed",
    pycurl.E_OPERATION_TIMEDOUT: "deadline_exceeded",
    pycurl.E_SSL_CONNECT_ERROR: "tls_failed",
    pycurl.E_PEER_FAILED_VERIFICATION: "tls_failed",
    pycurl.E_SSL_CERTPROBLEM: "tls_failed",
    pycurl.E_SSL_CIPHER: "tls_failed",
    pycurl.E_GOT_NOTHING: "connection_lost",
    pycurl.E_RECV_ERROR: "connection_lost",
    pycurl.E_SEND_ERROR: "connection_lost",
    pycurl.E_PARTIAL_FILE: "connection_lost",
    pycurl.E_URL_MALFORMAT: "bad_url",
    pycurl.E_UNSUPPORTED_PROTOCOL: "bad_url",
    pycurl.E_WRITE_ERROR: "response_too_large",
    pycurl.E_BAD_CONTENT_ENCODING: "bad_response",
    pycurl.E_FTP_WEIRD_SERVER_REPLY: "bad_response",
}


@dataclass(frozen=True, slots=True)
class Request:
    """A POST of ``body`` to ``url``."""

    url: str
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """``status`` with lower-cased ``headers`` and up to 16 KB of ``body``, or a stable ``error`` word."""

    status: int | None = None
    error: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    duration_ms: int = 0


class _Transfer:
    """What one handle has received so far, within its limits."""

    def __init__(self, context: Any, allowed: AllowedNetworks) -> None:
        self.context, self._allowed = context, allowed
        self.refusal: str | None = None
        self.headers: dict[str, str] = {}
        self.body = bytearray()
        self.is_cut = False
        self._header_bytes = 0

    def open_socket(self, _purpose: int, address: tuple[int, int, int, tuple[Any, ...]]) -> socket.socket | int:
        """curl asks for a socket to a resolved address: vetted here, no name can be rebound behind our back."""
        family, kind, protocol, endpoint = address
        self.refusal = vet_address(endpoint[0], endpoint[1], self._allowed)
        return pycurl.SOCKET_BAD if self.refusal else socket.socket(family, kind, protocol)

    def take_header(self, line: bytes) -> int | None:
        self._header_bytes += len(line)
        name, colon, value = line.decode("latin-1").partition(":")
        if colon:
            self.headers[name.strip().lower()] = value.strip()
        return None if self._header_bytes <= HEADER_LIMIT else 0

    def take_body(self, chunk: bytes) -> int | None:
        self.body += chunk[:RESPONSE_LIMIT - len(self.body)]
        self.is_cut = self.is_cut or len(self.body) >= RESPONSE_LIMIT
        return 0 if self.is_cut else None


class Outbound:
    """Starts POSTs and hands back what came of each; never raises for what a partner does.

    One thread calls everything but `wake`, which any thread may call.
    """

    def __init__(self, allowed: AllowedNetworks, *, deadline_seconds: float = DEADLINE_SECONDS) -> None:
        self._allowed, self._deadline_ms = allowed, round(deadline_seconds * 1000)
        self._transfers: dict[pycurl.Curl, _Transfer] = {}
        self._finished: list[tuple[Any, Response]] = []
        self._timer_at: float | None = None
        self._selector = selectors.DefaultSelector()
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._wake_reader.setblocking(False)
        self._wake_writer.setblocking(False)
        self._selector.register(self._wake_reader, selectors.EVENT_READ)
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._set_timer)

    @property
    def in_flight(self) -> int:
        """How many POSTs are started and not yet handed back."""
        return len(self._transfers) + len(self._finished)

    def start(self, request: Request, context: Any) -> None:
        """Begin a POST; `wait` gives its `context` back with the response."""
        handle, transfer = pycurl.Curl(), _Transfer(context, self._allowed)
        try:
            self._prepare(handle, request, transfer)
        except (pycurl.error, UnicodeError):
            self._finished.append((context, Response(error="bad_url")))
            return
        self._transfers[handle] = transfer
        self._multi.add_handle(handle)

    def wait(self, timeout_seconds: float) -> list[tuple[Any, Response]]:
        """Drive what is in flight until something is finished, `wake` is called, or the time is over."""
        over_at, woken = time.monotonic() + timeout_seconds, False
        while not self._finished and not woken:
            pause = over_at - time.monotonic()
            if pause <= 0:
                break
            woken = self._drive(pause)
        finished, self._finished = self._finished, []
        return finished

    def wake(self) -> None:
        """Make `wait` return. Callable from any thread."""
        # A full buffer means that a wake is under way already; a closed one that nobody waits.
        with contextlib.suppress(OSError):
            self._wake_writer.send(b"\0")

    def close(self) -> None:
        """Give up what is in flight."""
        for handle in list(self._transfers):
            self._multi.remove_handle(handle)
            handle.close()
        self._transfers.clear()
        self._multi.close()
        self._selector.close()
        self._wake_reader.close()
        self._wake_writer.close()

    def _prepare(self, handle: pycurl.Curl, request: Request, transfer: _Transfer) -> None:
        options = {
            pycurl.URL: request.url,
            pycurl.POST: 1,
            pycurl.COPYPOSTFIELDS: request.body,
            # An empty Expect keeps curl from asking before it sends.
            pycurl.HTTPHEADER: [*(f"{name}: {value}" for name, value in request.headers.items()), "Expect:"],
            pycurl.PROTOCOLS: pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS,
            pycurl.HTTP_VERSION: pycurl.CURL_HTTP_VERSION_1_1,
            pycurl.FOLLOWLOCATION: 0,
            pycurl.PROXY: "",
            pycurl.NOPROXY: "*",
            pycurl.NOSIGNAL: 1,
            pycurl.TIMEOUT_MS: self._deadline_ms,
            pycurl.DNS_CACHE_TIMEOUT: 0,
            pycurl.MAXAGE_CONN: LONGEST_REUSE_SECONDS,
            pycurl.ACCEPT_ENCODING: "gzip",
            pycurl.CAINFO: certifi.where(),
            pycurl.SSL_VERIFYPEER: 1,
            pycurl.SSL_VERIFYHOST: 2,
            pycurl.OPENSOCKETFUNCTION: transfer.open_socket,
            pycurl.HEADERFUNCTION: transfer.take_header,
            pycurl.WRITEFUNCTION: transfer.take_body,
        }
        for option, value in options.items():
            handle.setopt(option, value)

    def _drive(self, pause: float) -> bool:
        """One round of the event loop; whether `wake` was called."""
        woken = False
        until_timer = pause if self._timer_at is None else self._timer_at - time.monotonic()
        for key, events in self._selector.select(max(0.0, min(pause, until_timer))):
            if key.fileobj is self._wake_reader:
                self._wake_reader.recv(4096)
                woken = True
            else:
                readable = pycurl.CSELECT_IN if events & selectors.EVENT_READ else 0
                writable = pycurl.CSELECT_OUT if events & selectors.EVENT_WRITE else 0
                self._multi.socket_action(key.fd, readable | writable)
        if self._timer_at is not None and time.monotonic() >= self._timer_at:
            self._timer_at = None
            self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
        self._collect()
        return woken

    def _watch(self, wanted: int, fd: int, _multi: pycurl.CurlMulti, _data: Any) -> None:
        if wanted == pycurl.POLL_REMOVE:
            with contextlib.suppress(KeyError):
                self._selector.unregister(fd)
            return
        events = selectors.EVENT_READ if wanted & pycurl.POLL_IN else 0
        events |= selectors.EVENT_WRITE if wanted & pycurl.POLL_OUT else 0
        known = self._selector.get_map().get(fd)
        (self._selector.modify if known else self._selector.register)(fd, events)

    def _set_timer(self, timeout_ms: int) -> None:
        self._timer_at = None if timeout_ms < 0 else time.monotonic() + timeout_ms / 1000

    def _collect(self) -> None:
        more = 1
        while more:
            more, succeeded, failed = self._multi.info_read()
            for handle in succeeded:
                self._finish(handle, None)
            for handle, code, _ in failed:
                self._finish(handle, code)

    def _finish(self, handle: pycurl.Curl, code: int | None) -> None:
        transfer = self._transfers.pop(handle)
        self._multi.remove_handle(handle)
        duration_ms = round(handle.getinfo(pycurl.TOTAL_TIME) * 1000)
        status = handle.getinfo(pycurl.RESPONSE_CODE)
        handle.close()
        if code is not None and not transfer.is_cut:
            error = transfer.refusal or _ERRORS.get(code, "transfer_failed")
            response = Response(error=error, duration_ms=duration_ms)
        else:
            response = Response(
                status=status, headers=transfer.headers, body=bytes(transfer.body), duration_ms=duration_ms
            )
        self._finished.append((transfer.context, response))
