"""What isn't public, shown as its readers will see it: for a day, without a key, to whoever has the address."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from itsdangerous import BadSignature

from service.audit import record
from service.changes import Change, Stamp, stamp_changes, whole_ms
from service.errors import Conflict, DiglotError, NotFound
from service.model import ApiKey, Event, EventType, Pass, Release, ReleaseState, Revision, StoredMedium
from service.releases import get_release
from service.storage import Storage, media, releases
from service.views import iso

LIFETIME = timedelta(days=1)
_PURPOSE = "preview"


class PreviewUnknown(NotFound):
    """No key of ours signed this address, or its release is gone."""

    code = "preview_unknown"


class PreviewEnded(DiglotError):
    """The address has had its day, or the release was withdrawn."""

    code = "preview_ended"


class NothingToPreview(Conflict):
    """The release is withdrawn: nobody is to read it any more."""

    code = "nothing_to_preview"


@dataclass(frozen=True, slots=True)
class Preview:
    """``release`` is as readers will see it, with these corrections; ``newest`` is its newest revision."""

    shown_by: Pass
    release: Release
    newest: int
    corrections: Sequence[Revision]

    @property
    def is_public(self) -> bool:
        return self.release.public_revision == self.release.revision


def issue_pass(storage: Storage, release_id: uuid.UUID, now: datetime, by: ApiKey) -> tuple[Release, Pass]:
    """For the newest revision; that it was made is on record. Raises NotFound, NothingToPreview."""
    release = get_release(storage, release_id)
    if release.state is ReleaseState.WITHDRAWN:
        raise NothingToPreview()
    expires_at = now.replace(microsecond=0) + LIFETIME
    with storage.write() as tx:
        record(tx, "previewed", release, now, by, expires_at=iso(expires_at))
    said = f"{release.id.hex}.{release.revision}.{int(expires_at.timestamp())}"
    token = storage.vault.signer(_PURPOSE).sign(said).decode()
    return release, Pass(token, release.id, release.revision, expires_at)


def read_pass(storage: Storage, token: str, now: datetime) -> Pass:
    """Raises PreviewUnknown, PreviewEnded."""
    try:
        release_id, revision, expires = storage.vault.signer(_PURPOSE).unsign(token).decode().split(".")
    except BadSignature:
        raise PreviewUnknown() from None
    expires_at = datetime.fromtimestamp(int(expires), UTC)
    if now >= expires_at:
        raise PreviewEnded()
    return Pass(token, uuid.UUID(release_id), int(revision), expires_at)


def open_preview(storage: Storage, token: str, now: datetime) -> Preview:
    """Raises PreviewUnknown, PreviewEnded."""
    shown_by = read_pass(storage, token, now)
    with storage.read() as tx:
        newest = releases.find_release(tx, shown_by.release_id)
        release = releases.find_revision(tx, shown_by.release_id, shown_by.revision)
        if newest is None or release is None:
            raise PreviewUnknown()
        if newest.state is ReleaseState.WITHDRAWN:
            raise PreviewEnded()
        public = next(iter(releases.list_public(tx, [newest.id])), None)
        corrections = releases.list_corrections(tx, release)
    return Preview(shown_by, _as_readers_will_see(release, public, now), newest.revision, corrections)


def shows_file(storage: Storage, token: str, medium: StoredMedium, now: datetime) -> bool:
    """Whether the file is among those of the revision that the token lets read."""
    try:
        shown_by = read_pass(storage, token, now)
    except (PreviewUnknown, PreviewEnded):
        return False
    with storage.read() as tx:
        return media.is_shown_at(tx, medium.id, shown_by.release_id, shown_by.revision)


def _as_readers_will_see(release: Release, public: Release | None, now: datetime) -> Release:
    """Stamped as by the swap, at the second that it is scheduled for or else at once; what is out has its stamp."""
    if release.revision <= (release.public_revision or 0):
        return release
    at = max(now, release.publish_at or now)
    event = Event(id=release.id, type=EventType.RELEASE_CORRECTED, created_at=now, release_id=release.id)
    [change], _ = stamp_changes([Change(event=event, release=release, before=public)], Stamp(whole_ms(at), 0, at))
    return change.release
