"""What is kept of an exchange with a receiver, for both sides to see: bounded, without secrets, safe as JSON."""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping
from datetime import timedelta
from itertools import accumulate, islice

# From the attempt's beginning; then the sweep clears it.
KEPT_FOR = timedelta(days=30)
MOST_BODY_BYTES = 2048
MOST_HEADER_CHARACTERS = 8192
# Of ours, these alone are kept whole: what another channel may add is a secret until somebody says that it isn't.
_PLAIN = frozenset({"accept", "content-type", "link", "user-agent", "webhook-id", "webhook-timestamp"})
_CREDENTIALS = frozenset({"authorization", "cookie", "proxy-authorization", "set-cookie"})
# Enough to tell two signatures apart, far too little to use one.
_SHOWN_CHARACTERS = 4
# Line ends and tabs may stay in a body. PostgreSQL takes no U+0000, terminals obey the others.
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_SCHEME = re.compile(r"[a-z0-9]+[,=]")


def keep_request(headers: Mapping[str, str]) -> dict[str, str]:
    """Our headers; of a signature only its scheme and beginning, of anything else that may be secret nothing."""
    return _bounded({name: _redact(name.lower(), value) for name, value in headers.items()})


def keep_response(headers: Mapping[str, str]) -> dict[str, str]:
    """The receiver's headers, up to 8 KB in all."""
    return _bounded({
        _clean(name): "…" if name in _CREDENTIALS else _clean(value) for name, value in headers.items()
    })


def keep_body(body: bytes) -> str:
    """Its first 2 KB read as UTF-8; what is none is U+FFFD, and no character is cut in two."""
    if not body:
        return ""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    return _clean(decoder.decode(body[:MOST_BODY_BYTES], final=len(body) <= MOST_BODY_BYTES))


def _bounded(headers: dict[str, str]) -> dict[str, str]:
    """The first of them, up to 8 KB."""
    if sum(map(len, headers)) + sum(map(len, headers.values())) <= MOST_HEADER_CHARACTERS:
        return headers
    lengths = accumulate(len(name) + len(value) for name, value in headers.items())
    room = sum(length <= MOST_HEADER_CHARACTERS for length in lengths)
    return dict(islice(headers.items(), room))


def _redact(name: str, value: str) -> str:
    if name in _PLAIN:
        return _clean(value)
    if "signature" in name:
        return " ".join(map(_shorten, value.split(" ")))
    return "…"


def _shorten(signature: str) -> str:
    """`v1,K5oZ…` of Standard Webhooks, `sha256=9f86…` of WebSub."""
    scheme = _SCHEME.match(signature)
    shown = (scheme.end() if scheme else 0) + _SHOWN_CHARACTERS
    return f"{signature[:shown]}…"


def _clean(text: str) -> str:
    # No control is printable, and most texts are.
    return text if text.isprintable() else _CONTROLS.sub("\ufffd", text)
