"""If-Match on releases (RFC 9110 section 13.1.1): nobody overwrites what they haven't seen."""

from __future__ import annotations

from collections.abc import Callable

from flask import request
from werkzeug.http import quote_etag

from service.errors import DiglotError
from service.model import Release


class PreconditionRequired(DiglotError):
    """RFC 6585 section 3. ``revision`` is the newest, which the caller should have seen."""

    code = "precondition_required"


def release_etag(release: Release) -> str:
    """Names the revision: a schedule or a withdrawal makes no new one, so that a text once seen stays seen."""
    return quote_etag(str(release.revision))


def read_if_match() -> Callable[[int], bool]:
    """Whether a revision is one that the caller expects; without the header, any is."""
    if "If-Match" not in request.headers:
        return lambda revision: True
    return lambda revision: request.if_match.contains(str(revision))


def require_if_match(release: Release) -> Callable[[int], bool]:
    """As `read_if_match`. Raises PreconditionRequired without the header."""
    if "If-Match" not in request.headers:
        raise PreconditionRequired(revision=release.revision)
    return read_if_match()
