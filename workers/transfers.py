"""One transfer: what is asked, what comes back, and what curl calls meanwhile."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pycurl

from service.model import record

# Why an address and port may not be connected to, if so; the third says whether what is sent is confined.
Vet = Callable[[str, int, bool], str | None]

# A partner's honest headers are a few hundred bytes; curl by itself would take 300 kB.
_HEADER_LIMIT = 32_768

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


@record()
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


@record()
class Response:
    """What came of a request: a ``status`` or an ``error`` code, never both.

    Error codes: ``bad_url``, ``address_refused``, ``port_refused``, ``dns_failed``, ``connect_failed``,
    ``tls_failed``, ``deadline_exceeded``, ``connection_lost``, ``headers_too_large``, ``file_missing``,
    ``login_failed``, ``bad_response``.
    Header names are in lower case. A long ``body`` is cut, after decompression. ``request`` is what this answers.
    A mail server's reply is the ``body``, and its ``status`` is what HTTP calls the same: 503 for 4yz, 422 for 5yz.
    ``heals`` is False where the other side has said by its protocol that it will never take the same.
    """

    status: int | None
    error: str | None
    duration_ms: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)
    request: Request | None = field(default=None, repr=False)
    heals: bool = True


class _Lent:
    """A socket for curl, which takes a duplicate of it: ours is closed at once, without a warning that it was open."""

    __slots__ = ("_socket",)

    def __init__(self, lent: socket.socket) -> None:
        self._socket = lent

    def fileno(self) -> int:
        return self._socket.fileno()

    def __del__(self) -> None:
        self._socket.close()


class Transfer:
    """A handle's callbacks, for one request at a time. None may raise: pycurl would print the traceback and go on."""

    def __init__(self, vet: Vet, response_limit: int) -> None:
        self._vet, self._response_limit = vet, response_limit

    def begin(self, context: object, request: Request | None = None) -> None:
        self.context, self.request = context, request
        self._started_at = time.monotonic()
        self._body, self._body_room, self._header_room = bytearray(), self._response_limit, _HEADER_LIMIT
        self._lines: list[bytes] = []
        # Why the transfer was stopped by us; curl knows only that it was.
        self._stop: str | None = None

    def open_socket(self, purpose: int, address: tuple) -> _Lent | int:
        """Vet the very address that is about to be connected to, so that no second look-up can change it."""
        family, kind, protocol, target = address
        if family not in (socket.AF_INET, socket.AF_INET6):
            self._stop = "address_refused"
            return pycurl.SOCKET_BAD
        self._stop = self._vet(target[0], target[1], bool(self.request and self.request.confined))
        if self._stop is not None:
            return pycurl.SOCKET_BAD
        try:
            return _Lent(socket.socket(family, kind, protocol))
        except OSError:
            return pycurl.SOCKET_BAD

    def take_header(self, line: bytes) -> int | None:
        self._header_room -= len(line)
        if self._header_room < 0:
            self._stop = "headers_too_large"
            return 0
        self._lines.append(line)
        return None

    def take_body(self, data: bytes) -> int:
        self._body += data[:self._body_room]
        self._body_room -= len(data)
        if self._body_room < 0:
            self._stop = "cut"
            return 0
        return len(data)

    def conclude(self, code: int, status: int) -> Response:
        duration_ms = round((time.monotonic() - self._started_at) * 1000)
        headers, has_head = _parse(self._lines)
        if code == pycurl.E_OK and not has_head:
            # Curl takes a connection that was closed in the midst of a head for its end (RFC 9112 section 8).
            code = pycurl.E_PARTIAL_FILE
        if code == pycurl.E_OK or self._stop == "cut":
            return Response(
                status=status, error=None, duration_ms=duration_ms, headers=headers, body=bytes(self._body),
                request=self.request,
            )
        error = self._stop or _ERRORS.get(code, "bad_response")
        return Response(status=None, error=error, duration_ms=duration_ms, request=self.request)


def _parse(lines: list[bytes]) -> tuple[dict[str, str], bool]:
    """A response's headers, and whether they came to their end."""
    headers: dict[str, str] = {}
    has_head = False
    for line in lines:
        name, colon, value = line.decode("latin-1").partition(":")
        if colon:
            headers[name.strip().lower()] = value.strip()
        elif line.startswith(b"HTTP/"):
            # An interim response (RFC 9110 section 15.2) came before this one.
            headers, has_head = {}, False
        elif not line.strip():
            has_head = True
    return headers, has_head


class Reply(Transfer):
    """One message's callbacks: curl takes each line that a mail server says for a header."""

    def take_header(self, line: bytes) -> int | None:
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
        is_final = refused and status // 100 == 5
        status = {4: 503, 5: 422}.get(status // 100, 502) if refused else 250
        duration_ms = round((time.monotonic() - self._started_at) * 1000)
        return Response(
            status=status, error=None, duration_ms=duration_ms, body=bytes(self._body), heals=not is_final
        )
