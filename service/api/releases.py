"""/v1/releases: what staff post, read and list."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flask import Blueprint, request

from service import media, releases
from service.api.auth import requires
from service.api.decoding import digest_json, page_of, read_all, read_id, read_json, read_page
from service.api.preconditions import is_known, read_if_match, release_etag, require_if_match
from service.api.problems import explain_warning
from service.api.query import read_language, read_words
from service.edge import caller, services
from service.errors import Fault, Invalid
from service.lifecycle import PUBLIC
from service.model import Release, ReleaseState, Role
from service.releases import Idempotency
from service.storage import releases as stored
from service.validation import (
    read_moment,
    validate_release,
    validate_revision,
    validate_schedule,
    validate_withdrawal,
)
from service.views import view_release

blueprint = Blueprint("releases", __name__, url_prefix="/v1/releases")

LONGEST_KEY = 255

Answer = tuple[Any, int, dict[str, str]]


@blueprint.post("")
@requires(Role.STAFF)
def post_release() -> Answer:
    document = read_json()
    stored_media = media.find_named(services().storage, document, services().profile)
    draft = validate_release(document, services().profile, stored_media)
    publish_at = read_moment(document["publish_at"]) if "publish_at" in document else None
    state = ReleaseState.SCHEDULED if publish_at else ReleaseState(document.get("status", ReleaseState.PUBLISHED))
    release = releases.accept_release(
        services().storage, draft, state, services().clock(), caller(), publish_at=publish_at, repeat=_idempotency()
    )
    body, _, headers = _answer(release)
    return body, 201, {**headers, "Location": f"{services().profile.base_url}/v1/releases/{release.id}"}


@blueprint.get("")
@requires(Role.STAFF)
def list_releases() -> Answer:
    (limit, before), state, language, words = read_all(read_page, _known_state, read_language, read_words)
    with services().storage.read() as tx:
        found = stored.list_releases(
            tx, limit=limit + 1, before=before, state=state, language=language, words=words
        )
    page, headers = page_of(found, limit, lambda release: release.id, _view)
    return page, 200, headers


@blueprint.get("/<release_id>")
@requires(Role.STAFF)
def get_release(release_id: str) -> Answer:
    release = releases.get_release(services().storage, read_id("release", release_id))
    view = _view(release)
    etag = release_etag(release, view)
    # Only the caller may keep it, and asks each time.
    headers = {"ETag": etag, "Cache-Control": "private, no-cache", "Vary": "Accept-Language"}
    return ("", 304, headers) if is_known(etag) else (view, 200, headers)


@blueprint.put("/<release_id>")
@requires(Role.STAFF)
def put_release(release_id: str) -> Answer:
    before = releases.get_release(services().storage, read_id("release", release_id))
    is_expected = require_if_match(before)
    document = read_json()
    if not is_expected(before.revision):
        raise releases.RevisionMismatch(revision=before.revision)
    stored_media = media.find_named(services().storage, document, services().profile)
    release = releases.revise_release(
        services().storage, before.id, validate_revision(document, services().profile, before, stored_media),
        services().clock(), caller(), is_expected=is_expected, siblings_unaffected="siblings" in document,
    )
    return _answer(release)


@blueprint.post("/<release_id>/publish")
@requires(Role.STAFF)
def publish_release(release_id: str) -> Answer:
    return _answer(releases.publish_release(
        services().storage, read_id("release", release_id), services().clock(), caller(), is_expected=read_if_match()
    ))


@blueprint.post("/<release_id>/schedule")
@requires(Role.STAFF)
def schedule_release(release_id: str) -> Answer:
    publish_at = validate_schedule(read_json())
    return _answer(releases.schedule_release(
        services().storage, read_id("release", release_id), publish_at, services().clock(), caller(),
        is_expected=read_if_match(),
    ))


@blueprint.post("/<release_id>/unschedule")
@requires(Role.STAFF)
def unschedule_release(release_id: str) -> Answer:
    return _answer(releases.unschedule_release(
        services().storage, read_id("release", release_id), services().clock(), caller(), is_expected=read_if_match()
    ))


@blueprint.post("/<release_id>/withdraw")
@requires(Role.STAFF)
def withdraw_release(release_id: str) -> Answer:
    before = releases.get_release(services().storage, read_id("release", release_id))
    withdrawal, warnings = validate_withdrawal(read_json(), services().profile, before)
    withdrawn = releases.withdraw_release(
        services().storage, before.id, withdrawal, services().clock(), caller(), is_expected=read_if_match()
    )
    view, status, headers = _answer(withdrawn)
    # They concern what was sent just now, and no revision keeps them, so the tag doesn't tell of them.
    return (_view(replace(withdrawn, warnings=(*withdrawn.warnings, *warnings))) if warnings else view), status, headers


def _answer(release: Release) -> Answer:
    """What was accepted, with the tag that it would now be fetched with. What concerns the public is on its way."""
    if release.state in {*PUBLIC, ReleaseState.WITHDRAWN}:
        services().queue.publish()
    view = _view(release)
    return view, 200, {"ETag": release_etag(release, view)}


def _view(release: Release) -> dict[str, Any]:
    return view_release(release, services().profile, explain_warning)


def _known_state() -> str | None:
    state = request.args.get("state")
    if state is not None and state not in list(ReleaseState):
        known = [known.value for known in ReleaseState]
        raise Invalid([Fault(pointer="/state", code="unknown_state", params={"known": known})])
    return state


def _idempotency() -> Idempotency | None:
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return None
    if not 0 < len(key) <= LONGEST_KEY:
        params = {"name": "Idempotency-Key", "limit": LONGEST_KEY}
        raise Invalid([Fault(pointer="/Idempotency-Key", code="bad_header", params=params)])
    return Idempotency(key, digest_json(read_json()))
