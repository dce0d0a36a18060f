"""The one guarded HTTP client: many pushes at once, none to an address that is not allowed."""

from __future__ import annotations

import io
import selectors
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import certifi
import pycurl

from service.mail import MailServer
from service.networks import AllowedNetworks, vet_address

# A partner's honest headers are a few hundred bytes; curl by itself would take 300 kB.
_HEADER_LIMIT = 32_768
# An idle connection is kept for the next push of a burst, not for the next day's.
_IDLE_SECONDS, _LIFETIME_SECONDS, _MOST_IDLE = 10, 60, 256
_HANDLES_KEPT = 256

_ERRORS = {
    pycurl.E_URL_MALFORMAT: "bad_url",
    pycurl.E_COULDNT_RESOLVE_HOST: "dns_failed",
    pycurl.E_COULDNT_CONNECT: "connect_failed",
    pycurl.E_OPERATION_TIMEDOUT: "deadline_exceeded",
    pycurl.E_SSL_CONNECT_ERROR: "tls_failed",
    pycurl.E_SSL_CERTPROBLEM: "tls_failed",
    pycurl.E_SSL_CIPHER: "tls_failed",
    pycurl.E_SSL_CACERT_BADFILE: "tls_failed",
    pycurl.E_SSL_ISSUER_ERROR: "tls_failed",
    pycurl.E_PEER_FAILED_VERIFICATION: "tls_failed",
    pycurl.E_GOT_NOTHING: "connection_lost",
    pycurl.E_PARTIAL_FILE: "connection_lost",
    pycurl.E_RECV_ERROR: "connection_lost",
    pycurl.E_SEND_ERROR: "connection_lost",
    pycurl.E_LOGIN_DENIED: "login_failed",
    pycurl.E_USE_SSL_FAILED: "tls_failed",
}


@dataclass(frozen=True, slots=True)
class File:
    """One of ours, sent from the disk as ``name`` and of the media type ``type``."""

    path: Path
    name: str
    type: str


@dataclass(frozen=True, slots=True)
class Request:
    """``headers`` are sent beside Host, Content-Length and Accept-Encoding; a GET has no body.

    A ``form`` is sent in place of the body, as multipart/form-data. What is ``confined`` goes to the networks alone
    that the operator allowed, for it would cross any other in the clear.
    """

    url: str
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    method: str = "POST"
    form: Mapping[str, str | File] = field(default_factory=dict)
    confined: bool = False


@dataclass(frozen=True, slots=True)
class Mail:
    """A whole message (RFC 5322) for one address, over the operator's mail server."""

    sender: str
    recipient: str
    message: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Response:
    """What came of a request: a ``status`` or an ``error`` code, never both.

    Error codes: ``bad_url``, ``address_refused``, ``port_refused``, ``dns_failed``, ``connect_failed``,
    ``tls_failed``, ``deadline_exceeded``, ``connection_lost``, ``headers_too_large``, ``file_missing``,
    ``login_failed``, ``bad_response``.
    Header names are in lower case. A long ``body`` is cut, after decompression. ``request`` is what this answers.
    A mail server's reply is the ``body``, and its ``status`` is what HTTP calls the same: 503 for 4yz, which may heal,
    422 for 5yz, which will not.
    """

    status: int | None
    error: str | None
    duration_ms: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)
    request: Request | None = field(default=None, repr=False)


class Outbound:
    """Sends requests side by side in the thread of its caller; only `wake` is for other threads.

    ``deadline_seconds`` spans everything from the name's look-up to the last byte. ``response_limit``
    is in bytes.
    """

    def __init__(
        self, allowed: AllowedNetworks, *, deadline_seconds: float = 15.0, response_limit: int = 16_384,
        ca_bundle: str | None = None, mail: MailServer | None = None,
    ) -> None:
        self._allowed, self._deadline_seconds, self._response_limit = allowed, deadline_seconds, response_limit
        self._mail = mail
        self._ca_bundle = ca_bundle or certifi.where()
        self._selector = selectors.DefaultSelector()
        self._alarm, self._bell = socket.socketpair()
        self._alarm.setblocking(False)
        self._bell.setblocking(False)
        self._selector.register(self._alarm, selectors.EVENT_READ)
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._set_timer)
        self._multi.setopt(pycurl.M_MAXCONNECTS, _MOST_IDLE)
        self._timer_at: float | None = None
        self._transfers: dict[pycurl.Curl, _Transfer] = {}
        self._spare: list[pycurl.Curl] = []
        self._finished: list[tuple[object, Response]] = []

    @property
    def in_flight(self) -> int:
        """How many requests were started and not yet handed back."""
        return len(self._transfers) + len(self._finished)

    def start(self, request: Request | Mail, context: object, deadline_seconds: float | None = None) -> None:
        """Begin to send; `wait` hands ``context`` back with the response. The deadline may be another than usual."""
        seconds = self._deadline_seconds if deadline_seconds is None else deadline_seconds
        if isinstance(request, Mail):
            self._start_mail(request, context, seconds)
            return
        # Curl would guess a missing scheme, and reads only ASCII.
        if not request.url.isascii() or not request.url.lower().startswith(("http://", "https://")):
            refused = Response(status=None, error="bad_url", duration_ms=0, request=request)
            self._finished.append((context, refused))
            return
        transfer = _Transfer(context, request, self._allowed, self._response_limit, request.confined)
        curl = self._take_handle()
        try:
            self._prepare(curl, request, transfer, seconds)
        except pycurl.error as error:
            if error.args[0] != pycurl.E_READ_ERROR:
                raise
            missing = Response(status=None, error="file_missing", duration_ms=0, request=request)
            self._finished.append((context, missing))
            return
        self._add(curl, transfer)

    def _start_mail(self, mail: Mail, context: object, deadline_seconds: float) -> None:
        """The operator's own server is where the operator says, on whatever network."""
        assert self._mail, "no mail server is set"
        curl, reply = self._take_handle(), _Reply(context, None, self._allowed, self._response_limit)
        for option, value in (*self._limits(deadline_seconds), *_mail_options(mail, self._mail, reply)):
            curl.setopt(option, value)
        self._add(curl, reply)

    def _take_handle(self) -> pycurl.Curl:
        return self._spare.pop() if self._spare else pycurl.Curl()

    def _add(self, curl: pycurl.Curl, transfer: _Transfer) -> None:
        self._transfers[curl] = transfer
        self._multi.add_handle(curl)

    def wait(self, timeout_seconds: float) -> list[tuple[object, Response]]:
        """Drive what is in flight until something finishes, `wake` is called or the time is over."""
        ends_at = time.monotonic() + timeout_seconds
        awake = False
        while not awake and not self._finished:
            now = time.monotonic()
            awake = self._drive(now, ends_at) or now >= ends_at
            self._collect()
        finished, self._finished = self._finished, []
        return finished

    def wake(self) -> None:
        """Make `wait` return now, or at once when it is next called. Callable from any thread."""
        # A full pipe wakes as well as one more byte; after `close` there is nobody to wake.
        with suppress(OSError):
            self._bell.send(b"\0")

    def close(self) -> list[object]:
        """Abort what is in flight and return its contexts. A name's look-up is waited for."""
        left = [transfer.context for transfer in self._transfers.values()]
        left += [context for context, _ in self._finished]
        for curl in self._transfers:
            self._multi.remove_handle(curl)
        for curl in (*self._transfers, *self._spare):
            curl.close()
        self._transfers, self._spare, self._finished = {}, [], []
        self._multi.close()
        for closable in (self._selector, self._alarm, self._bell):
            closable.close()
        return left

    def _prepare(
        self, curl: pycurl.Curl, request: Request, transfer: _Transfer, deadline_seconds: float
    ) -> None:
        content = _content(curl, request)
        options = (
            (pycurl.URL, request.url),
            *content,
            (pycurl.CUSTOMREQUEST, request.method),
            # Without the empty one, curl waits for "100 Continue" before a body of 1 MB.
            (pycurl.HTTPHEADER, [*(f"{name}: {value}" for name, value in request.headers.items()), "Expect:"]),
            *self._limits(deadline_seconds),
            (pycurl.OPENSOCKETFUNCTION, transfer.open_socket),
            (pycurl.HEADERFUNCTION, transfer.take_header),
            (pycurl.WRITEFUNCTION, transfer.take_body),
            *_HTTP,
        )
        for option, value in options:
            curl.setopt(option, value)

    def _limits(self, deadline_seconds: float) -> tuple[tuple[int, object], ...]:
        return (
            (pycurl.TIMEOUT_MS, max(1, int(deadline_seconds * 1000))),
            (pycurl.CAINFO, self._ca_bundle),
            *_GUARDS,
        )

    def _drive(self, now: float, ends_at: float) -> bool:
        """Wait for the next thing to happen and let curl act on it; whether the bell rang."""
        until = ends_at if self._timer_at is None else min(ends_at, self._timer_at)
        rung = False
        for key, events in self._selector.select(max(0.0, until - now)):
            if key.fileobj is self._alarm:
                rung = bool(self._alarm.recv(4096))
            else:
                self._multi.socket_action(key.fd, _curl_events(events))
        if self._timer_at is not None and self._timer_at <= time.monotonic():
            self._timer_at = None
            self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
        return rung

    def _collect(self) -> None:
        more = True
        while more:
            more, succeeded, failed = self._multi.info_read()
            for curl in succeeded:
                self._finish(curl, pycurl.E_OK)
            for curl, code, _ in failed:
                self._finish(curl, code)

    def _finish(self, curl: pycurl.Curl, code: int) -> None:
        self._multi.remove_handle(curl)
        transfer = self._transfers.pop(curl)
        self._finished.append((transfer.context, transfer.conclude(code, curl.getinfo(pycurl.RESPONSE_CODE))))
        curl.reset()
        if len(self._spare) < _HANDLES_KEPT:
            self._spare.append(curl)

    def _watch(self, event: int, fd: int, multi: pycurl.CurlMulti, data: object) -> None:
        known = fd in self._selector.get_map()
        if event == pycurl.POLL_REMOVE:
            if known:
                self._selector.unregister(fd)
            return
        change = self._selector.modify if known else self._selector.register
        change(fd, _SELECTOR_EVENTS[event])

    def _set_timer(self, timeout_ms: int) -> None:
        self._timer_at = None if timeout_ms < 0 else time.monotonic() + timeout_ms / 1000


_HTTP = (
    (pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS),
    (pycurl.FOLLOWLOCATION, 0),
    (pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1),
    (pycurl.ACCEPT_ENCODING, "gzip"),
)
_GUARDS = (
    # The environment's proxies would connect for us, past the guard.
    (pycurl.PROXY, ""),
    (pycurl.NOPROXY, "*"),
    (pycurl.SSL_VERIFYPEER, 1),
    (pycurl.SSL_VERIFYHOST, 2),
    (pycurl.MAXAGE_CONN, _IDLE_SECONDS),
    (pycurl.MAXLIFETIME_CONN, _LIFETIME_SECONDS),
    (pycurl.NOSIGNAL, 1),
)
_SELECTOR_EVENTS = {
    pycurl.POLL_IN: selectors.EVENT_READ,
    pycurl.POLL_OUT: selectors.EVENT_WRITE,
    pycurl.POLL_INOUT: selectors.EVENT_READ | selectors.EVENT_WRITE,
}


def _mail_options(mail: Mail, server: MailServer, reply: _Reply) -> tuple[tuple[int, object], ...]:
    login = ((pycurl.USERNAME, server.user), (pycurl.PASSWORD, server.password or "")) if server.user else ()
    # A password travels under TLS that is verified, or not at all. Without one, a relay's plain port will do, and
    # TLS with a certificate that nobody signed is better than none (RFC 7435).
    verify = bool(server.user) or server.url.startswith("smtps:")
    return (
        (pycurl.URL, server.url),
        (pycurl.PROTOCOLS, pycurl.PROTO_SMTP | pycurl.PROTO_SMTPS),
        (pycurl.USE_SSL, pycurl.USESSL_ALL if server.user else pycurl.USESSL_TRY),
        (pycurl.SSL_VERIFYPEER, int(verify)),
        (pycurl.SSL_VERIFYHOST, 2 * verify),
        *login,
        (pycurl.MAIL_FROM, f"<{mail.sender}>"),
        (pycurl.MAIL_RCPT, [f"<{mail.recipient}>"]),
        (pycurl.UPLOAD, 1),
        (pycurl.READFUNCTION, io.BytesIO(mail.message).read),
        (pycurl.INFILESIZE_LARGE, len(mail.message)),
        (pycurl.HEADERFUNCTION, reply.take_header),
    )


def _content(curl: pycurl.Curl, request: Request) -> tuple[tuple[int, object], ...]:
    if request.form:
        return ((pycurl.MIMEPOST, _form(curl, request.form)),)
    return () if request.method == "GET" else ((pycurl.POSTFIELDS, request.body),)


def _form(curl: pycurl.Curl, fields: Mapping[str, str | File]) -> pycurl.CurlMime:
    form = pycurl.CurlMime(curl)
    for name, value in fields.items():
        if isinstance(value, str):
            form.add_field(name, value.encode())
        else:
            form.add_file(name, str(value.path), filename=value.name, content_type=value.type)
    return form


def _curl_events(events: int) -> int:
    reads = pycurl.CSELECT_IN if events & selectors.EVENT_READ else 0
    return reads | (pycurl.CSELECT_OUT if events & selectors.EVENT_WRITE else 0)


class _Transfer:
    """One request's callbacks. None may raise: pycurl would print the traceback and go on."""

    def __init__(
        self, context: object, request: Request | None, allowed: AllowedNetworks, response_limit: int,
        confined: bool = False,
    ) -> None:
        self.context, self._request, self._allowed, self._confined = context, request, allowed, confined
        self._started_at = time.monotonic()
        self._body, self._body_room, self._header_room = bytearray(), response_limit, _HEADER_LIMIT
        self._headers: dict[str, str] = {}
        # Why the transfer was stopped by us; curl knows only that it was.
        self._stop: str | None = None

    def open_socket(self, purpose: int, address: tuple) -> socket.socket | int:
        """Vet the very address that is about to be connected to, so that no second look-up can change it."""
        family, kind, protocol, target = address
        if family not in (socket.AF_INET, socket.AF_INET6):
            self._stop = "address_refused"
            return pycurl.SOCKET_BAD
        self._stop = vet_address(target[0], target[1], self._allowed, confined=self._confined)
        if self._stop is not None:
            return pycurl.SOCKET_BAD
        try:
            return socket.socket(family, kind, protocol)
        except OSError:
            return pycurl.SOCKET_BAD

    def take_header(self, line: bytes) -> int:
        self._header_room -= len(line)
        if self._header_room < 0:
            self._stop = "headers_too_large"
            return 0
        name, colon, value = line.decode("latin-1").partition(":")
        if colon:
            self._headers[name.strip().lower()] = value.strip()
        elif line.startswith(b"HTTP/"):
            # An interim response (RFC 9110 section 15.2) came before this one.
            self._headers = {}
        return len(line)

    def take_body(self, data: bytes) -> int:
        self._body += data[:self._body_room]
        self._body_room -= len(data)
        if self._body_room < 0:
            self._stop = "cut"
            return 0
        return len(data)

    def conclude(self, code: int, status: int) -> Response:
        duration_ms = round((time.monotonic() - self._started_at) * 1000)
        if code == pycurl.E_OK or self._stop == "cut":
            return Response(
                status=status, error=None, duration_ms=duration_ms, headers=self._headers, body=bytes(self._body),
                request=self._request,
            )
        error = self._stop or _ERRORS.get(code, "bad_response")
        return Response(status=None, error=error, duration_ms=duration_ms, request=self._request)


class _Reply(_Transfer):
    """One message's callbacks: curl takes each line that a mail server says for a header."""

    def take_header(self, line: bytes) -> int:
        self._header_room -= len(line)
        if self._header_room < 0:
            self._stop = "headers_too_large"
            return 0
        self._body = bytearray(line.rstrip())
        return len(line)

    def conclude(self, code: int, status: int) -> Response:
        """RFC 5321 section 4.2.1. A refused login is the operator's trouble, and no verdict on the message."""
        refused = code not in (pycurl.E_OK, pycurl.E_LOGIN_DENIED) and self._stop is None and status >= 400
        if code != pycurl.E_OK and not refused:
            return super().conclude(code, status)
        status = {4: 503, 5: 422}.get(status // 100, 502) if refused else 250
        duration_ms = round((time.monotonic() - self._started_at) * 1000)
        return Response(status=status, error=None, duration_ms=duration_ms, body=bytes(self._body))
