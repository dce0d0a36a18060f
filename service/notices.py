"""What the owner of a subscription is told of its troubles, in both languages at once, and who that is."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from service.config import Profile
from service.mail import is_address
from service.messages import LANGUAGES, UiLanguage, has_message, say
from service.model import Notice, NoticeType
from service.networks import host_of

_KINDS = {NoticeType.PAUSED: "paused", NoticeType.ENDED: "ended", NoticeType.ABANDONED: "abandoned"}
_RULE = "\n\n" + "-" * 40 + "\n\n"


def find_recipient(notice: Notice, profile: Profile) -> str | None:
    """The partner by the address that it gave, else the newsroom; None where neither has one that takes mail."""
    candidates = (notice.subscription.settings.get("contact_email"), profile.contact_email)
    return next((address for address in candidates if address and is_address(address)), None)


def write_notice(notice: Notice, profile: Profile) -> tuple[str, str]:
    """Subject and text. Of the callback only the host is named: the rest of it may be a secret."""
    partner = notice.subscription.partner
    key = f"mail.{_KINDS[notice.type]}.subject"
    subject = " / ".join(say(language, key, partner=partner, **_event(language, notice)) for language in LANGUAGES)
    return subject, _RULE.join(_write(language, notice, profile) for language in LANGUAGES) + "\n"


def _write(language: UiLanguage, notice: Notice, profile: Profile) -> str:
    told = notice.subscription
    return say(
        language, f"mail.{_KINDS[notice.type]}.text", partner=told.partner, channel=told.channel.value,
        host=host_of(told.callback), since=_local(told.failing_since or notice.created_at, profile),
        at=_local(notice.created_at, profile), reason=_reason(language, notice), **_event(language, notice),
        url=f"{profile.base_url}/v1/subscriptions/{told.id}", base_url=profile.base_url,
        delivery=notice.delivery_id, release=notice.release_id,
    )


def _event(language: UiLanguage, notice: Notice) -> dict[str, str]:
    return {"event": say(language, f"page.event.{notice.event}")} if notice.event else {}


def _reason(language: UiLanguage, notice: Notice) -> str:
    if notice.status is not None:
        kind = "redirected" if notice.status < 400 else "refused" if notice.status < 500 else "failed"
        return say(language, f"mail.paused.{kind}", status=notice.status)
    key = f"mail.paused.error.{notice.error}"
    return say(language, key) if has_message(key) else say(language, "mail.paused.error", error=notice.error)


def _local(at: datetime, profile: Profile) -> str:
    return at.astimezone(ZoneInfo(profile.time_zone)).isoformat(" ", "minutes")
