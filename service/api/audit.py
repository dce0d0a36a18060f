"""/v1/audit: who did what, over all releases."""

from __future__ import annotations

from typing import Any

from flask import Blueprint

from service.api.auth import requires
from service.api.decoding import page_of, read_page
from service.edge import services
from service.model import Role
from service.storage import audit
from service.views import view_audit_entry

blueprint = Blueprint("audit", __name__, url_prefix="/v1/audit")


@blueprint.get("")
@requires(Role.ADMIN)
def list_audit() -> tuple[Any, int, dict[str, str]]:
    limit, before = read_page()
    with services().storage.read() as tx:
        found = audit.list_entries(tx, limit=limit + 1, before=before)
    page, headers = page_of(found, limit, lambda entry: entry.id, view_audit_entry)
    return page, 200, headers
