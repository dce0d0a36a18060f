"""How records look outside, as JSON: the shapes that `schemas/*-view.schema.json` describe."""

from service.views.instants import (
    iso,
)
from service.views.partners import (
    view_delivery,
    view_exchanges,
    view_key,
    view_notice,
    view_receiver,
    view_replay,
    view_subscription,
)
from service.views.releases import (
    list_successor_urls,
    view_audit_entry,
    view_diff,
    view_medium,
    view_preview,
    view_public_release,
    view_release,
    view_release_medium,
    view_revision,
    view_withdrawal,
)

__all__ = [
    "iso",
    "list_successor_urls",
    "view_audit_entry",
    "view_delivery",
    "view_diff",
    "view_exchanges",
    "view_key",
    "view_medium",
    "view_notice",
    "view_preview",
    "view_public_release",
    "view_receiver",
    "view_release",
    "view_release_medium",
    "view_replay",
    "view_revision",
    "view_subscription",
    "view_withdrawal",
]
