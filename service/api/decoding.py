"""Requests to values: JSON bodies, ids, cursors. What can't be read is refused with its place."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, TypeVar

from flask import request, url_for
from werkzeug.exceptions import RequestEntityTooLarge

from service.edge import services
from service.errors import DiglotError, Fault, Invalid, NotFound

DEFAULT_LIMIT = 20
MOST_LIMIT = 100

Item = TypeVar("Item")
Cursor = TypeVar("Cursor")


class MalformedJson(DiglotError):
    """``line`` and ``column`` count from 1; ``reason`` is the parser's."""

    code = "malformed_json"


class WrongEncoding(DiglotError):
    """The body is no UTF-8 (RFC 8259 section 8.1). ``offset`` is the first bad byte, from 0."""

    code = "wrong_encoding"


class WrongMediaType(DiglotError):
    """``expected`` names the media type that would be read."""

    code = "wrong_media_type"


def read_json(media_type: str = "application/json") -> Any:
    """The request's body as a JSON value. Raises WrongMediaType, WrongEncoding, MalformedJson or HTTP's 413."""
    if request.mimetype not in (media_type, "application/json"):
        raise WrongMediaType(expected=media_type)
    body = request.get_data()
    if request.content_length is None and len(body) >= services().settings.max_body_bytes:
        # Werkzeug cuts a chunked body at the limit in silence, so one as long as that may have been longer.
        raise RequestEntityTooLarge
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise WrongEncoding(offset=error.start) from None
    try:
        return json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_refuse_repeats)
    except json.JSONDecodeError as error:
        raise MalformedJson(line=error.lineno, column=error.colno, reason=error.msg) from None
    except (RecursionError, ValueError) as error:
        raise MalformedJson(line=1, column=1, reason=str(error)) from None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _refuse_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """RFC 8259 section 4: of a repeated name nobody knows which value was meant."""
    members = dict(pairs)
    if len(members) != len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the name {repeated!r} stands twice in one object")
    return members


def read_id(kind: str, text: str) -> uuid.UUID:
    """Raises NotFound: what is no id names nothing."""
    try:
        return uuid.UUID(text)
    except ValueError:
        raise NotFound(kind=kind, id=text) from None


def read_page(parse: Callable[[str], Cursor] = uuid.UUID) -> tuple[int, Cursor | None]:  # type: ignore[assignment]
    """The query's `limit`, and the id that its `cursor` stands before. Raises Invalid."""
    limit, cursor = request.args.get("limit", str(DEFAULT_LIMIT)), request.args.get("cursor")
    if not is_number(limit) or len(limit) > 3 or not 1 <= int(limit) <= MOST_LIMIT:
        raise Invalid([Fault(pointer="/limit", code="bad_limit", params={"limit": MOST_LIMIT})])
    try:
        return int(limit), parse(cursor) if cursor else None
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
    query = {**request.args.to_dict(), "cursor": str(identify(shown[-1]))}
    page["next"] = services().profile.base_url + url_for(request.endpoint, **(request.view_args or {}), **query)
    return page, {"Link": f'<{page["next"]}>; rel="next"'}
