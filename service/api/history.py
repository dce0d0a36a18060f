"""/v1/releases/{id}/…: what became of a release: revisions, differences, deliveries, receipts, the audit log."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request

from service import receipts, releases
from service.api.auth import requires
from service.api.decoding import page_of, read_id, read_number, read_page
from service.api.problems import explain_warning
from service.diffs import changed_members, diff_releases
from service.edge import services, speech
from service.errors import Fault, Invalid, NotFound
from service.model import Release, Role
from service.storage import audit, deliveries
from service.storage import releases as stored
from service.views import view_audit_entry, view_delivery, view_diff, view_receiver, view_revision
from service.web.pages import render_receipts

blueprint = Blueprint("history", __name__, url_prefix="/v1/releases/<release_id>")

Answer = tuple[Any, int, dict[str, str]]


@blueprint.get("/revisions")
@requires(Role.STAFF)
def list_revisions(release_id: str) -> Answer:
    limit, before = read_page(read_number)
    release = _get(release_id)
    with services().storage.read() as tx:
        found = stored.list_revisions(tx, release.id, limit=limit + 1, before=before)
    page, headers = page_of(
        found, limit, lambda revision: revision.number,
        lambda revision: view_revision(revision, services().profile, explain_warning),
    )
    return page, 200, headers


@blueprint.get("/revisions/<int:number>")
@requires(Role.STAFF)
def get_revision(release_id: str, number: int) -> Any:
    release = _get(release_id)
    if not 1 <= number <= release.revision:
        raise NotFound(kind="revision", id=str(number))
    with services().storage.read() as tx:
        found = stored.list_revisions(tx, release.id, limit=1, before=number + 1)
    return view_revision(found[0], services().profile, explain_warning)


@blueprint.get("/diff")
@requires(Role.STAFF)
def diff_revisions(release_id: str) -> Any:
    release = _get(release_id)
    newer = _read_number("to", release.revision)
    older = _read_number("from", max(newer - 1, 1))
    with services().storage.read() as tx:
        before, after = (stored.find_revision(tx, release.id, number) for number in (older, newer))
    if before is None or after is None:
        raise NotFound(kind="revision", id=str(older if before is None else newer))
    return {
        "from": older, "to": newer, "members": changed_members(before, after),
        "editions": view_diff(diff_releases(before, after)),
    }


@blueprint.get("/deliveries")
@requires(Role.STAFF)
def list_deliveries(release_id: str) -> Answer:
    limit, before = read_page()
    release = _get(release_id)
    with services().storage.read() as tx:
        found = deliveries.list_for_release(tx, release.id, limit=limit + 1, before=before)
    page, headers = page_of(found, limit, lambda delivery: delivery.id, view_delivery)
    return page, 200, headers


@blueprint.get("/receipts")
@requires(Role.STAFF)
def list_receipts(release_id: str) -> Any:
    """Page by page, as JSON or, where HTML is asked for first, to print."""
    release = _get(release_id)
    limit, before = read_page()
    found = receipts.list_receivers(services().storage, release, limit=limit + 1, before=before)
    page, headers = page_of(found, limit, lambda receiver: receiver.subscription.id, view_receiver)
    if request.accept_mimetypes.best_match(["application/json", "text/html"]) == "text/html":
        return _print_receipts(release, found[:limit], page["next"], headers)
    return page, 200, headers | {"Vary": "Accept"}


@blueprint.get("/audit")
@requires(Role.STAFF)
def list_audit(release_id: str) -> Answer:
    limit, before = read_page()
    release = _get(release_id)
    with services().storage.read() as tx:
        found = audit.list_entries(tx, limit=limit + 1, before=before, release_id=release.id)
    page, headers = page_of(found, limit, lambda entry: entry.id, view_audit_entry)
    return page, 200, headers


def _print_receipts(
    release: Release, receivers: list[receipts.Receiver], next_url: str | None, headers: dict[str, str]
) -> Response:
    totals = receipts.count_receivers(services().storage, release)
    now = services().clock()
    page = render_receipts(services().profile, speech(), release, now, receivers, totals, next_url)
    headers |= {"Vary": "Accept, Accept-Language", "Cache-Control": "no-store"}
    return Response(page, mimetype="text/html", headers=headers)


def _get(release_id: str) -> Release:
    return releases.get_release(services().storage, read_id("release", release_id))


def _read_number(name: str, default: int) -> int:
    try:
        return read_number(request.args.get(name, str(default)))
    except ValueError:
        raise Invalid([Fault(pointer=f"/{name}", code="bad_revision")]) from None
