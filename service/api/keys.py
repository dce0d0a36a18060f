"""/v1/keys"""

from __future__ import annotations

from typing import Any

from flask import Blueprint

from service import keys
from service.api.auth import requires
from service.api.decoding import page_of, read_id, read_json, read_page
from service.edge import services
from service.model import Role
from service.storage import keys as stored
from service.views import view_key

blueprint = Blueprint("keys", __name__, url_prefix="/v1/keys")


@blueprint.post("")
@requires(Role.ADMIN)
def post_key() -> tuple[Any, int, dict[str, str]]:
    document = keys.validate_key(read_json())
    key, plain = keys.make_key(
        services().storage, document["name"], Role(document["role"]), services().clock(), document.get("partner")
    )
    # The one time that the key is shown: no cache may keep it.
    return {**view_key(key), "key": plain}, 201, {"Cache-Control": "no-store"}


@blueprint.get("")
@requires(Role.ADMIN)
def list_keys() -> tuple[Any, int, dict[str, str]]:
    limit, before = read_page()
    with services().storage.read() as tx:
        found = stored.list_keys(tx, limit=limit + 1, before=before)
    page, headers = page_of(found, limit, lambda key: key.id, view_key)
    return page, 200, headers


@blueprint.delete("/<key_id>")
@requires(Role.ADMIN)
def delete_key(key_id: str) -> tuple[str, int]:
    keys.revoke_key(services().storage, read_id("key", key_id), services().clock())
    return "", 204
