"""What a document is answered with: plain or packed, whole or as 304 (RFC 9110 sections 8.8, 12.5.3 and 13)."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

from werkzeug.datastructures import Accept
from werkzeug.http import HTTP_STATUS_CODES, http_date, parse_accept_header, parse_date, parse_etags

from service.formats import FORMATS
from service.model import Document

# Feeds name the same number as their ttl, so that readers that heed the larger of both wait no longer.
MAX_AGE_SECONDS = 60
# Outside bytes stay outside: nothing is sniffed into another type.
SAFETY_HEADERS = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "strict-origin-when-cross-origin"}
# The fields of a request that an answer depends on.
SELECTING_FIELDS = frozenset((
    b"accept-encoding", b"if-match", b"if-none-match", b"if-modified-since", b"if-unmodified-since",
))
EXPOSED_HEADERS = "ETag, Last-Modified, Link"
_MEMORABLE_BYTES = 100
BROWSABLE = frozenset((FORMATS["atom"], FORMATS["rss"]))

Headers = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """A HEAD request is answered without ``body``, else the same."""

    status: int
    headers: Headers
    body: bytes = b""
    head: bytes = field(init=False)

    def __post_init__(self) -> None:
        """``head`` is the status line and the fields as they are sent (RFC 9112 sections 4 and 5), not their end."""
        status_line = b"HTTP/1.1 %d %s" % (self.status, HTTP_STATUS_CODES[self.status].encode())
        lines = (status_line, *map(b": ".join, self.headers))
        object.__setattr__(self, "head", b"".join(line + b"\r\n" for line in lines))


class Representation:
    """The document in one encoding. Every answer is made once, so that serving it costs next to nothing."""

    __slots__ = ("_document", "_failed", "_not_modified", "_tag", "_whole", "etag")

    def __init__(self, document: Document, body: bytes, tag: str, encoding: Mapping[str, str]) -> None:
        self._document, self._tag = document, tag
        self.etag = f'"{tag}"'.encode()
        always = _encode({
            "ETag": f'"{tag}"', "Vary": _vary(document), "Cache-Control": f"public, max-age={MAX_AGE_SECONDS}",
            "Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": EXPOSED_HEADERS,
            **SAFETY_HEADERS,
        })
        of_content = _encode({
            "Content-Type": f"{document.media_type}; charset=utf-8", "Content-Length": str(len(body)), **encoding,
            "Last-Modified": http_date(document.last_modified), **link_of(document),
        })
        self._whole = Answer(200, of_content + always, body)
        # RFC 9110 section 15.4.5: nothing of a content that isn't sent.
        self._not_modified = Answer(304, always)
        self._failed = Answer(412, always)

    def answer(self, fields: Mapping[bytes, bytes]) -> Answer:
        """In the order of RFC 9110 section 13.2.2."""
        if self._is_refused(fields):
            return self._failed
        return self._not_modified if self._is_known(fields) else self._whole

    def _is_refused(self, fields: Mapping[bytes, bytes]) -> bool:
        if (wanted := fields.get(b"if-match")) is not None:
            tags = parse_etags(_decode(wanted))
            return not (tags.star_tag or tags.is_strong(self._tag))
        until = _find_date(fields, b"if-unmodified-since")
        return until is not None and self._document.last_modified > until

    def _is_known(self, fields: Mapping[bytes, bytes]) -> bool:
        if (known := fields.get(b"if-none-match")) is not None:
            # Nearly all who say it say just this; a list takes ten times as long to read.
            return known == self.etag or parse_etags(_decode(known)).contains_weak(self._tag)
        since = _find_date(fields, b"if-modified-since")
        return since is not None and self._document.last_modified <= since


def link_of(document: Document) -> dict[str, str]:
    return {"Link": document.link} if document.link else {}


def _find_date(fields: Mapping[bytes, bytes], name: bytes) -> datetime | None:
    value = fields.get(name)
    # A date that can't be is none (RFC 9110 section 13.1.3); of a year without end werkzeug says so by an error.
    with suppress(OverflowError):
        return None if value is None else parse_date(_decode(value))
    return None


def _vary(document: Document) -> str:
    """Whoever opens Atom or RSS in a browser is answered elsewhere, with another label for the same bytes."""
    return "Accept-Encoding, Sec-Fetch-Dest" if document.media_type in BROWSABLE else "Accept-Encoding"


class Representations:
    """A document in each encoding that it is served in; ``size_bytes`` is what keeping it costs."""

    __slots__ = ("_packed", "_plain", "document", "size_bytes")

    def __init__(self, document: Document) -> None:
        self.document = document
        self._plain = Representation(document, document.body, document.etag, {})
        self._packed = Representation(
            document, document.gzip_body, document.gzip_etag, {"Content-Encoding": "gzip"}
        )
        self.size_bytes = len(document.body) + len(document.gzip_body)

    def answer(self, fields: Mapping[bytes, bytes]) -> Answer:
        """``fields`` are the request's SELECTING_FIELDS, by their names in lower case."""
        return (self._packed if _takes_gzip(fields.get(b"accept-encoding", b"")) else self._plain).answer(fields)


def _takes_gzip(accepted: bytes) -> bool:
    return _parse_known(accepted) if len(accepted) <= _MEMORABLE_BYTES else _parse(accepted)


def _parse(accepted: bytes) -> bool:
    return parse_accept_header(_decode(accepted), Accept)["gzip"] > 0


# Readers send few different ones.
_parse_known = lru_cache(256)(_parse)


def _encode(headers: Mapping[str, str]) -> Headers:
    return tuple((name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items())


def _decode(value: bytes) -> str:
    return value.decode("latin-1")
