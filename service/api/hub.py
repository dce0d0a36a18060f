"""POST /hub (W3C WebSub section 5.1)."""

from __future__ import annotations

from collections import Counter
from typing import Any, NoReturn
from urllib.parse import parse_qsl

from flask import Blueprint, Response, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, RequestEntityTooLarge

from service import hub
from service.api.decoding import PackedBody, WrongEncoding, WrongMediaType
from service.api.problems import answer_error, answer_http_error
from service.edge import services
from service.errors import DiglotError, Fault, Invalid
from service.feeds import list_topics
from service.schema_faults import json_pointer
from service.websub import FIELDS, read_intent

blueprint = Blueprint("hub", __name__)

FORM = "application/x-www-form-urlencoded"
# Callback, topic and secret at their longest, each byte of them escaped.
MOST_BYTES = 16 * 1024


@blueprint.post("/hub")
def post_hub() -> tuple[str, int]:
    """Accepted means that the callback will be asked, not that it has agreed."""
    request.max_content_length = MOST_BYTES
    intent = read_intent(
        _read_form(), services().profile, list_topics(services().profile), services().settings.allowed_networks,
        services().clock(),
    )
    if intent:
        hub.accept_intent(services().storage, intent)
        services().queue.verify()
    return "", 202


@blueprint.get("/hub")
def get_hub() -> NoReturn:
    """Else it would be looked for among the newsroom's languages, and be missing."""
    raise MethodNotAllowed(valid_methods=["POST"])


def _read_form() -> dict[str, str]:
    """The form's fields. Raises WrongMediaType, PackedBody, WrongEncoding, HTTP's 413, or Invalid for a field twice."""
    if request.mimetype != FORM or request.mimetype_params.get("charset", "utf-8").lower() not in ("utf-8", "utf8"):
        raise WrongMediaType(expected=FORM)
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise PackedBody()
    body = request.get_data()
    if request.content_length is None and len(body) >= MOST_BYTES:
        # Werkzeug cuts a chunked body at the limit in silence.
        raise RequestEntityTooLarge
    try:
        fields = parse_qsl(body.decode("utf-8"), keep_blank_values=True, errors="strict")
    except UnicodeDecodeError as error:
        raise WrongEncoding(offset=error.start) from None
    counts = Counter(name for name, _ in fields if name in FIELDS)
    twice = [name for name, count in counts.items() if count > 1]
    # A publisher may name several topics; of a subscriber's two callbacks nobody could say which is meant.
    if twice and ("hub.mode", "publish") not in fields:
        raise Invalid([Fault(pointer=json_pointer(name), code="given_twice", params={"name": name}) for name in twice])
    return dict(fields)


@blueprint.errorhandler(DiglotError)
def refuse(error: DiglotError) -> Response:
    return _say_plainly(answer_error(error))


@blueprint.errorhandler(HTTPException)
def refuse_http(error: HTTPException) -> Response:
    return _say_plainly(answer_http_error(error))


def _say_plainly(problem: Response) -> Response:
    """Section 5.1 wants text; who asks for JSON gets the problem as everywhere."""
    problem.vary.add("Accept")
    best = request.accept_mimetypes.best_match(["text/plain", "application/problem+json", "application/json"])
    if best in (None, "text/plain"):
        problem.set_data(_text(problem.json))
        problem.content_type = "text/plain; charset=utf-8"
    return problem


def _text(problem: Any) -> str:
    faults = (f"{fault['pointer'].removeprefix('/')}: {fault['detail']}" for fault in problem.get("errors", ()))
    return "\n".join((problem["title"], problem["detail"], *faults, ""))
