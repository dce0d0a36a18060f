"""Every failure as a problem (RFC 9457), in the caller's language, and never as a traceback."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from flask import Flask, Response, json, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, RequestEntityTooLarge

from service.api.auth import Forbidden, ForeignPartner, Unauthorized
from service.api.decoding import PackedBody, WrongEncoding, WrongMediaType
from service.api.preconditions import NoStrongTag, PreconditionRequired
from service.drawing import Overloaded
from service.edge import services, speech
from service.errors import Conflict, DiglotError, Fault, IdempotencyKeyReused, Invalid, NotFound, StorageUnavailable
from service.lifecycle import IllegalMove
from service.media import UnsupportedMedium
from service.messages import say
from service.model import Warning
from service.pings import TooManyTests
from service.previews import PreviewEnded
from service.releases import RevisionMismatch
from service.siblings import StaleSiblings
from service.strict_json import MalformedJson, RepeatedName, TooDeep
from service.websub import TooManyVerifications

log = logging.getLogger(__name__)

RETRY_AFTER_SECONDS = 5

# The first that fits, so subclasses stand before their base.
_STATUS: tuple[tuple[type[DiglotError], int], ...] = (
    (MalformedJson, 400),
    (RepeatedName, 400),
    (TooDeep, 400),
    (WrongEncoding, 400),
    (Unauthorized, 401),
    (Forbidden, 403),
    (ForeignPartner, 403),
    (NotFound, 404),
    (PreviewEnded, 410),
    (RevisionMismatch, 412),
    (NoStrongTag, 412),
    (PreconditionRequired, 428),
    (IdempotencyKeyReused, 422),
    (Conflict, 409),
    (TooManyVerifications, 429),
    (TooManyTests, 429),
    (WrongMediaType, 415),
    (UnsupportedMedium, 415),
    (PackedBody, 415),
    (Invalid, 422),
    (StorageUnavailable, 503),
    (Overloaded, 503),
)
_HTTP_CODES = {
    404: "no_route", 405: "method_not_allowed", 408: "too_slow", 410: "feed_retired", 413: "too_large", 503: "busy",
}


def install_problems(app: Flask) -> None:
    app.register_error_handler(DiglotError, answer_error)
    app.register_error_handler(HTTPException, answer_http_error)
    app.register_error_handler(Exception, answer_crash)


def answer_error(error: DiglotError) -> Response:
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
    # Whoever floods us must not flood the log.
    if status >= 500 and not isinstance(error, Overloaded):
        log.error("%s: %s", error.code, error.params)
    faults = error.faults if isinstance(error, Invalid | StaleSiblings) else ()
    # RFC 9457 section 3.2: an extension, for programs.
    more = {"allowed": error.params["allowed"]} if isinstance(error, IllegalMove) else {}
    response = make_problem(status, error.code, error.params, faults, more)
    if isinstance(error, Unauthorized):
        response.headers["WWW-Authenticate"] = 'Bearer realm="diglot"'
    if isinstance(error, StorageUnavailable | Overloaded):
        response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    if isinstance(error, TooManyVerifications | TooManyTests):
        response.headers["Retry-After"] = str(error.params["wait_seconds"])
    return response


def answer_http_error(error: HTTPException) -> Response:
    """What Flask and Werkzeug refuse by themselves."""
    status = error.code or 500
    params: dict[str, Any] = {}
    if isinstance(error, MethodNotAllowed):
        params["allowed"] = sorted(error.valid_methods or ())
    if isinstance(error, RequestEntityTooLarge):
        params["limit"] = request.max_content_length
    code = _HTTP_CODES.get(status, "internal" if status >= 500 else "malformed_request")
    response = make_problem(status, code, params)
    if params.get("allowed"):
        response.headers["Allow"] = ", ".join(params["allowed"])
    if status == 503:
        response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return response


def answer_crash(error: Exception) -> Response:
    log.exception("%s %s failed", request.method, _place(), exc_info=error)
    return make_problem(500, "internal", {})


def _place() -> str:
    """The path, less what opens a door to whoever reads the log."""
    token = (request.view_args or {}).get("token")
    return request.path.replace(token, "…") if token else request.path


def make_problem(
    status: int, code: str, params: Mapping[str, Any], faults: Iterable[Fault] = (),
    more: Mapping[str, Any] = MappingProxyType({}),
) -> Response:
    language = speech()
    problem = {
        "type": f"{services().profile.base_url}/problems/{code}",
        "title": say(language, f"problem.{code}.title"),
        "status": status,
        "detail": say(language, f"problem.{code}.detail", **params),
        "code": code,
        **more,
    }
    if faults:
        problem["errors"] = [
            {"pointer": fault.pointer, "code": fault.code,
             "detail": say(language, f"fault.{fault.code}", **fault.params)}
            for fault in faults
        ]
    response = Response(json.dumps(problem, ensure_ascii=False), status, mimetype="application/problem+json")
    response.headers["Content-Language"] = language
    response.headers["Vary"] = "Accept-Language"
    # What isn't there now, an archive or a feed, may be there a moment later.
    response.headers["Cache-Control"] = "no-store"
    return response


def explain_warning(warning: Warning) -> str:
    return say(speech(), f"warning.{warning.code}", **warning.params)
