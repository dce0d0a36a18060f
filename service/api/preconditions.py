"""What callers have seen of a release: nobody overwrites what they haven't, nobody fetches again what they have."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from flask import json, request
from werkzeug.http import quote_etag, unquote_etag

from service.errors import DiglotError
from service.model import Release


class PreconditionRequired(DiglotError):
    """RFC 6585 section 3. ``revision`` is the newest, which the caller should have seen."""

    code = "precondition_required"


class NoStrongTag(DiglotError):
    """If-Match holds nothing that can be compared strongly (RFC 9110 section 8.8.3.2). ``revision`` is the newest."""

    code = "no_strong_tag"


def release_etag(release: Release, view: Mapping[str, Any]) -> str:
    """The revision and a digest of all that is shown: other bytes, another tag (RFC 9110 section 8.8.1).

    So it moves with the state and the times too, and differs with the language that warnings are told in.
    """
    digest = hashlib.sha256(json.dumps(view).encode()).hexdigest()[:16]
    return quote_etag(f"{release.revision}.{digest}")


def is_known(etag: str) -> bool:
    """Whether the caller says that it has this one, or any (RFC 9110 section 13.1.2)."""
    tag, _ = unquote_etag(etag)
    return request.if_none_match.contains_weak(tag or "")


def read_if_match() -> Callable[[int], bool]:
    """Whether a revision is one that the caller expects; without the header, any is.

    RFC 9110 section 13.1.1, but that a tag stands for its revision: a schedule, a swap or a withdrawal between reading
    and writing changes nothing that would be overwritten. The revision alone, ``"3"``, is as good. To ask it raises
    NoStrongTag where the header holds weak tags alone, or none.
    """
    if "If-Match" not in request.headers:
        return lambda revision: True
    return _is_expected


def require_if_match(release: Release) -> Callable[[int], bool]:
    """As `read_if_match`. Raises PreconditionRequired without the header."""
    if "If-Match" not in request.headers:
        raise PreconditionRequired(revision=release.revision)
    return read_if_match()


def _is_expected(revision: int) -> bool:
    expected = request.if_match
    if not (expected.star_tag or expected.as_set()):
        raise NoStrongTag(revision=revision)
    return expected.star_tag or any(tag.partition(".")[0] == str(revision) for tag in expected)
