"""/v1/notices: what befell subscriptions, and deliveries that were given up, whether a mail told of it or not."""

from __future__ import annotations

from typing import Any

from flask import Blueprint

from service.api.auth import requires
from service.api.decoding import page_of, read_page
from service.edge import caller, services
from service.model import Role
from service.storage import notices
from service.views import view_notice

blueprint = Blueprint("notices", __name__, url_prefix="/v1/notices")


@blueprint.get("")
@requires(Role.STAFF, Role.PARTNER)
def list_notices() -> tuple[Any, int, dict[str, str]]:
    limit, before = read_page()
    with services().storage.read() as tx:
        found = notices.list_notices(tx, limit=limit + 1, before=before, partner=caller().partner)
    page, headers = page_of(found, limit, lambda notice: notice.id, view_notice)
    return page, 200, headers
