"""/v1/releases"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, request

from service import releases
from service.api.auth import requires
from service.api.decoding import digest_json, page_of, read_id, read_json, read_page
from service.api.problems import explain_warning
from service.api.query import read_language, read_words
from service.edge import caller, services
from service.errors import Fault, Invalid
from service.model import Release, ReleaseState, Role
from service.releases import Idempotency
from service.storage import deliveries
from service.storage import releases as stored
from service.validation import validate_release
from service.views import view_delivery, view_release

blueprint = Blueprint("releases", __name__, url_prefix="/v1/releases")

LONGEST_KEY = 255


@blueprint.post("")
@requires(Role.STAFF)
def post_release() -> tuple[Any, int, dict[str, str]]:
    document = read_json()
    draft = validate_release(document, services().profile)
    state = ReleaseState(document.get("status", ReleaseState.PUBLISHED))
    release = releases.accept_release(
        services().storage, draft, state, services().clock(), _idempotency()
    )
    if release.state is ReleaseState.PUBLISHED:
        services().queue.publish()
    location = f"{services().profile.base_url}/v1/releases/{release.id}"
    return _view(release), 201, {"Location": location}


@blueprint.get("")
@requires(Role.STAFF)
def list_releases() -> tuple[Any, int, dict[str, str]]:
    limit, before = read_page()
    with services().storage.read() as tx:
        found = stored.list_releases(
            tx, limit=limit + 1, before=before, state=_known_state(),
            language=read_language(), words=read_words(),
        )
    page, headers = page_of(found, limit, lambda release: release.id, _view)
    return page, 200, headers


@blueprint.get("/<release_id>")
@requires(Role.STAFF)
def get_release(release_id: str) -> Any:
    return _view(releases.get_release(services().storage, read_id("release", release_id)))


@blueprint.post("/<release_id>/publish")
@requires(Role.STAFF)
def publish_release(release_id: str) -> Any:
    release = releases.publish_draft(services().storage, read_id("release", release_id), services().clock())
    services().queue.publish()
    return _view(release)


@blueprint.get("/<release_id>/deliveries")
@requires(Role.STAFF)
def list_deliveries(release_id: str) -> tuple[Any, int, dict[str, str]]:
    limit, before = read_page()
    release = releases.get_release(services().storage, read_id("release", release_id))
    with services().storage.read() as tx:
        found = deliveries.list_for_release(tx, release.id, limit=limit + 1, before=before)
    page, headers = page_of(found, limit, lambda delivery: delivery.id, view_delivery)
    return page, 200, headers


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
    return Idempotency(caller(), key, digest_json(read_json()))
