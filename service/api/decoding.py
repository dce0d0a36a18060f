"""Requests to values: JSON bodies, ids, cursors. What can't be read is refused with its place."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from flask import request, url_for
from werkzeug.exceptions import RequestEntityTooLarge

from service.edge import services
from service.errors import DiglotError, Fault, Invalid, NotFound
from service.strict_json import parse_json

DEFAULT_LIMIT = 20
MOST_LIMIT = 100

Item = TypeVar("Item")
Cursor = TypeVar("Cursor")


class WrongEncoding(DiglotError):
    """The body is no UTF-8 (RFC 8259 section 8.1). ``offset`` is the first bad byte, from 0."""

    code = "wrong_encoding"


class WrongMediaType(DiglotError):
    """``expected`` names the media type that would be read."""

    code = "wrong_media_type"


class PackedBody(DiglotError):
    """RFC 9110 section 8.4: the body has a Content-Encoding, and nobody unpacks it here."""

    code = "packed_body"


def read_json(media_type: str = "application/json") -> Any:
    """The request's body as a JSON value.

    Raises WrongMediaType, PackedBody, WrongEncoding, HTTP's 413 or what `parse_json` does.
    """
    if request.mimetype not in (media_type, "application/json"):
        raise WrongMediaType(expected=media_type)
    if request.mimetype_params.get("charset", "utf-8").lower() not in ("utf-8", "utf8"):
        raise WrongMediaType(expected=f"{media_type}; charset=utf-8")
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise PackedBody()
    body = request.get_data()
    if request.content_length is None and len(body) >= services().settings.max_body_bytes:
        # Werkzeug cuts a chunked body at the limit in silence, so one as long as that may have been longer.
        raise RequestEntityTooLarge
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise WrongEncoding(offset=error.start) from None
    return parse_json(text)


def digest_json(value: Any) -> str:
    """SHA-256 in hex of the value, however it was spaced and ordered."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def read_id(kind: str, text: str) -> uuid.UUID:
    """Raises NotFound: what is no id names nothing."""
    try:
        return uuid.UUID(text)
    except ValueError:
        raise NotFound(kind=kind, id=text) from None


def read_all(*readers: Callable[[], Any]) -> list[Any]:
    """What each of them reads of the query. Raises Invalid with the faults of all."""
    values: list[Any] = []
    faults: list[Fault] = []
    for read in readers:
        try:
            values.append(read())
        except Invalid as refusal:
            faults += refusal.faults
    if faults:
        raise Invalid(faults)
    return values


def read_page(parse: Callable[[str], Cursor] = uuid.UUID) -> tuple[int, Cursor | None]:  # type: ignore[assignment]
    """The query's `limit`, and the id that its `cursor` stands before. Raises Invalid."""
    limit, cursor = read_all(_read_limit, partial(_read_cursor, parse))
    return limit, cursor


def _read_limit() -> int:
    limit = request.args.get("limit", str(DEFAULT_LIMIT))
    if not is_number(limit) or len(limit) > 3 or not 1 <= int(limit) <= MOST_LIMIT:
        raise Invalid([Fault(pointer="/limit", code="bad_limit", params={"limit": MOST_LIMIT})])
    return int(limit)


def _read_cursor(parse: Callable[[str], Cursor]) -> Cursor | None:
    cursor = request.args.get("cursor")
    try:
        return parse(cursor) if cursor else None
    except ValueError:
        raise Invalid([Fault(pointer="/cursor", code="bad_cursor")]) from None


def is_number(text: str) -> bool:
    """Whether it is a whole number that every database can hold."""
    return text.isascii() and text.isdecimal() and len(text) < 10


def read_number(text: str) -> int:
    """From 1. Raises ValueError."""
    if not is_number(text) or int(text) < 1:
        raise ValueError(text)
    return int(text)


def page_of(
    items: Sequence[Item], limit: int, identify: Callable[[Item], object], view: Callable[[Item], Any]
) -> tuple[dict[str, Any], dict[str, str]]:
    """A page and its headers, from up to `limit` + 1 items: the last one only tells that there are more.

    The next page is named in the body and by `Link` (RFC 8288).
    """
    shown = items[:limit]
    page: dict[str, Any] = {"items": [view(item) for item in shown], "next": None}
    if len(items) <= limit:
        return page, {}
    assert request.endpoint
    query: dict[str, Any] = {**request.args.to_dict(), "cursor": str(identify(shown[-1]))}
    page["next"] = services().profile.base_url + url_for(request.endpoint, **(request.view_args or {}), **query)
    return page, {"Link": f'<{page["next"]}>; rel="next"'}
