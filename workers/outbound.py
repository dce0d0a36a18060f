"""The one guarded HTTP client: many pushes at once, none to an address that is not allowed."""

from __future__ import annotations

import io
import time
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import certifi
import pycurl

from service.mail import MailServer
from service.networks import AllowedNetworks, vet_address
from service.retries import FIRST_ROOM, RETRY_ROOM
from workers.multi import Multi
from workers.transfers import File, Mail, Reply, Request, Response, Transfer

# An idle connection is kept for the next push of a burst, not for the next day's.
_IDLE_SECONDS, _LIFETIME_SECONDS = 10, 60
# As many as begin within a moment.
_HANDLES_KEPT = FIRST_ROOM + RETRY_ROOM


class Outbound:
    """Sends requests side by side in the thread of its caller; only `wake` is for other threads.

    ``deadline_seconds`` spans everything from the name's look-up to the last byte. ``response_limit``
    is in bytes.
    """

    def __init__(
        self, allowed: AllowedNetworks, *, deadline_seconds: float = 15.0, response_limit: int = 16_384,
        ca_bundle: str | None = None, mail: MailServer | None = None,
    ) -> None:
        self._deadline_seconds, self._response_limit = deadline_seconds, response_limit

        @lru_cache(4096)
        def vet(ip: str, port: int, confined: bool) -> str | None:
            return vet_address(ip, port, allowed, confined=confined)

        self._vet = vet
        self._mail = mail
        self._ca_bundle = ca_bundle or certifi.where()
        self._multi = Multi()
        self._transfers: dict[pycurl.Curl, Transfer] = {}
        self._spare: list[tuple[pycurl.Curl, Transfer]] = []
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
        curl, transfer = self._spare.pop() if self._spare and _is_plain(request) else self._make_guarded()
        transfer.begin(context, request)
        try:
            _prepare(curl, request, seconds)
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
        curl, reply = self._make_handle(), Reply(self._vet, self._response_limit)
        reply.begin(context)
        curl.setopt(pycurl.TIMEOUT_MS, max(1, int(deadline_seconds * 1000)))
        for option, value in _mail_options(mail, self._mail, reply):
            curl.setopt(option, value)
        self._add(curl, reply)

    def _make_guarded(self) -> tuple[pycurl.Curl, Transfer]:
        curl, transfer = self._make_handle(), Transfer(self._vet, self._response_limit)
        curl.setopt(pycurl.OPENSOCKETFUNCTION, transfer.open_socket)
        curl.setopt(pycurl.HEADERFUNCTION, transfer.take_header)
        curl.setopt(pycurl.WRITEFUNCTION, transfer.take_body)
        return curl, transfer

    def _make_handle(self) -> pycurl.Curl:
        curl = pycurl.Curl()
        for option, value in _ALWAYS:
            curl.setopt(option, value)
        curl.setopt(pycurl.CAINFO, self._ca_bundle)
        return curl

    def _add(self, curl: pycurl.Curl, transfer: Transfer) -> None:
        self._transfers[curl] = transfer
        self._multi.add(curl)

    def wait(self, timeout_seconds: float) -> list[tuple[Any, Response]]:
        """Drive what is in flight until something finishes, `wake` is called or the time is over."""
        ends_at = time.monotonic() + timeout_seconds
        is_over = False
        while not is_over and not self._finished:
            left = ends_at - time.monotonic()
            is_over = self._multi.drive(left) or left <= 0
            for curl, code in self._multi.collect():
                self._finish(curl, code)
        finished, self._finished = self._finished, []
        return finished

    def wake(self) -> None:
        """Make `wait` return now, or at once when it is next called. Callable from any thread."""
        self._multi.wake()

    def close(self) -> None:
        """Abort what is in flight. A name's look-up is waited for."""
        for curl in self._transfers:
            self._multi.remove(curl)
        for curl in (*self._transfers, *(curl for curl, _ in self._spare)):
            curl.close()
        self._transfers, self._spare, self._finished = {}, [], []
        self._multi.close()

    def _finish(self, curl: pycurl.Curl, code: int) -> None:
        self._multi.remove(curl)
        transfer = self._transfers.pop(curl)
        self._finished.append((transfer.context, transfer.conclude(code, curl.getinfo(pycurl.RESPONSE_CODE))))
        if transfer.request and _is_plain(transfer.request) and len(self._spare) < _HANDLES_KEPT:
            # Else it would keep what it carried, and whose secrets, until it is used again.
            transfer.begin(None)
            self._spare.append((curl, transfer))
        else:
            # One with a form is in a cycle with it, and would wait for the garbage collector.
            curl.close()


_ALWAYS = (
    (pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS),
    (pycurl.FOLLOWLOCATION, 0),
    (pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1),
    (pycurl.ACCEPT_ENCODING, "gzip"),
    # The environment's proxies would connect for us, past the guard.
    (pycurl.PROXY, ""),
    (pycurl.NOPROXY, "*"),
    (pycurl.SSL_VERIFYPEER, 1),
    (pycurl.SSL_VERIFYHOST, 2),
    (pycurl.MAXAGE_CONN, _IDLE_SECONDS),
    (pycurl.MAXLIFETIME_CONN, _LIFETIME_SECONDS),
    # After each transfer curl looks through all the names that it keeps, which are tens of thousands.
    (pycurl.DNS_CACHE_TIMEOUT, 0),
    (pycurl.NOSIGNAL, 1),
)


def _mail_options(mail: Mail, server: MailServer, reply: Reply) -> tuple[tuple[int, object], ...]:
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


def _is_plain(request: Request) -> bool:
    """A push like most: each sets what another one set, so that they use a handle again as it is."""
    return request.method == "POST" and not request.form and not request.confined


def _prepare(curl: pycurl.Curl, request: Request, deadline_seconds: float) -> None:
    curl.setopt(pycurl.URL, request.url)
    # Without the empty one, curl waits for "100 Continue" before a body of 1 MB.
    curl.setopt(pycurl.HTTPHEADER, [*map(": ".join, request.headers.items()), "Expect:"])
    curl.setopt(pycurl.TIMEOUT_MS, max(1, int(deadline_seconds * 1000)))
    if request.form:
        curl.setopt(pycurl.MIMEPOST, _form(curl, request.form))
    elif request.method != "GET":
        curl.setopt(pycurl.POSTFIELDS, request.body)
    if not _is_plain(request):
        curl.setopt(pycurl.CUSTOMREQUEST, request.method)
        # A kept connection was vetted for what it was opened for.
        curl.setopt(pycurl.FRESH_CONNECT, request.confined)


def _form(curl: pycurl.Curl, fields: Mapping[str, str | File]) -> pycurl.CurlMime:
    form = pycurl.CurlMime(curl)
    for name, value in fields.items():
        if isinstance(value, str):
            form.add_field(name, value.encode())
        else:
            form.add_file(name, str(value.path), filename=value.name, content_type=value.type)
    return form
