"""What each channel asks of an order beside what all do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from service.config import Profile
from service.errors import Fault
from service.mail import is_address
from service.model import Channel, Secret
from service.networks import AllowedNetworks, find_callback_fault, find_plain_fault
from service.schema_faults import json_pointer

_SETTINGS: Mapping[Channel, tuple[str, ...]] = {
    Channel.WEBHOOK: ("contact_email",),
    Channel.WORDPRESS: ("username", "categories_map", "contact_email"),
    Channel.EMAIL: ("messages",),
}
_PASSWORD = "application_password"  # noqa: S105
_OWN = {
    Channel.WEBHOOK: ("format", "signature", *_SETTINGS[Channel.WEBHOOK]),
    Channel.WORDPRESS: (*_SETTINGS[Channel.WORDPRESS], _PASSWORD),
    Channel.EMAIL: _SETTINGS[Channel.EMAIL],
}
_MAILTO = "mailto:"


def settings_in(order: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the channel, apart from any password: a secret is kept elsewhere."""
    names = {name for own in _SETTINGS.values() for name in own}
    return {name: value for name, value in order.items() if name in names}


def secret_in(order: Mapping[str, Any]) -> Secret | None:
    """The password that the partner gave, where it gave one."""
    return Secret(order[_PASSWORD]) if _PASSWORD in order else None


def patch(settings: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """RFC 7396, section 2: objects are changed by member, and null takes a member out."""
    patched = dict(settings)
    for name, value in change.items():
        if value is None:
            patched.pop(name, None)
        else:
            patched[name] = patch(patched.get(name, {}), value) if isinstance(value, dict) else value
    return patched


def find_channel_faults(
    channel: Any, document: Mapping[str, Any], profile: Profile, allowed: AllowedNetworks, has_mail: bool
) -> Iterator[Fault]:
    """`channel` is the one that is ordered, or that of the subscription which is changed.

    The document may break its schema anywhere.
    """
    callback = document.get("callback")
    if isinstance(callback, str) and (code := _find_callback_fault(channel, callback, allowed)):
        yield Fault(pointer="/callback", code=code)
    if document.get("channel") == Channel.EMAIL and not has_mail:
        yield Fault(pointer="/channel", code="mail_not_set_up")
    contact = document.get("contact_email")
    if isinstance(contact, str) and not is_address(contact):
        yield Fault(pointer="/contact_email", code="wrong_format", params={"expected": "email"})
    everything = dict.fromkeys(name for names in _OWN.values() for name in names)
    # Of a misspelt channel nobody can say what belongs to it.
    own = next((names for owner, names in _OWN.items() if channel == owner), everything)
    for name in everything:
        if name in document and name not in own:
            yield Fault(pointer=json_pointer(name), code="not_here", params={"name": name})
    mapped = document.get("categories_map")
    for term in mapped if isinstance(mapped, dict) else ():
        if term not in profile.categories:
            pointer = json_pointer("categories_map", term)
            yield Fault(pointer=pointer, code="unknown_category", params={"known": profile.categories})


def _find_callback_fault(channel: Any, callback: str, allowed: AllowedNetworks) -> str | None:
    if channel == Channel.EMAIL:
        is_mail = callback.startswith(_MAILTO) and is_address(callback.removeprefix(_MAILTO))
        return None if is_mail else "callback_mailto"
    fault = find_callback_fault(callback, allowed)
    if fault is None and channel == Channel.WORDPRESS:
        return "callback_query" if "?" in callback else find_plain_fault(callback, allowed)
    return fault
