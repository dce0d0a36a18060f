"""Uploaded media: taken as a stream, made clean, kept under the hash of their bytes."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from service.clock import new_id
from service.config import Profile
from service.errors import DiglotError, Fault, Invalid, NotFound, StorageUnavailable
from service.images import clean_image
from service.media_types import EXTENSIONS, is_image, sniff
from service.model import StoredMedium
from service.release_media import uploads_of
from service.storage import Storage, media

_INCOMING = ".incoming-"
# No upload lasts as long: what is older was left by a process that died.
_STALE_SECONDS = 24 * 3600
_CHUNK_BYTES = 256 * 1024
# Half of a SHA-256 in hex: nobody guesses it, and no two files will share it.
_NAME_LENGTH = 32


class UnsupportedMedium(DiglotError):
    """The bytes are of no type that is taken. ``allowed`` lists the extensions of those that are."""

    code = "unsupported_medium"


def keep_medium(
    storage: Storage, folder: Path, source: BinaryIO, name: str | None, now: datetime
) -> tuple[StoredMedium, bool]:
    """Keep a file, and whether it is new: the same bytes are the same medium.

    The file is on disk under its final name before its row is written, so that no row lacks its file. Raises
    UnsupportedMedium, Invalid for an empty or damaged file, StorageUnavailable where the disk takes no more.
    """
    try:
        with _incoming(folder) as path:
            medium = _receive(path, source, name, now)
            path.replace(folder / medium.file_name)
        _sync(folder)
    except OSError as error:
        raise StorageUnavailable(reason=str(error)) from error
    with storage.write() as tx:
        return media.keep_medium(tx, medium)


def find_named(storage: Storage, document: Any, profile: Profile) -> dict[str, StoredMedium]:
    """The uploaded files that a release's document names, each under the words that name it there."""
    named = uploads_of(document, profile)
    if not named:
        return {}
    ids = [key for key in named.values() if isinstance(key, uuid.UUID)]
    file_names = [key for key in named.values() if isinstance(key, str)]
    with storage.read() as tx:
        found = media.find_media(tx, ids, file_names)
    by_key = {medium.id: medium for medium in found} | {medium.file_name: medium for medium in found}
    return {said: by_key[key] for said, key in named.items() if key in by_key}


def get_medium(storage: Storage, medium_id: uuid.UUID) -> StoredMedium:
    """Raises NotFound."""
    with storage.read() as tx:
        medium = media.find_medium(tx, medium_id)
    if medium is None:
        raise NotFound(kind="medium", id=str(medium_id))
    return medium


@contextlib.contextmanager
def _incoming(folder: Path) -> Iterator[Path]:
    """A new empty file in the folder, gone afterwards unless it was renamed."""
    folder.mkdir(parents=True, exist_ok=True)
    _remove_stale(folder)
    descriptor, name = tempfile.mkstemp(prefix=_INCOMING, dir=folder)
    os.close(descriptor)
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def _remove_stale(folder: Path) -> None:
    for path in folder.glob(f"{_INCOMING}*"):
        with contextlib.suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > _STALE_SECONDS:
                path.unlink()


def _receive(path: Path, source: BinaryIO, name: str | None, now: datetime) -> StoredMedium:
    with path.open("wb") as file:
        shutil.copyfileobj(source, file, _CHUNK_BYTES)
    if not path.stat().st_size:
        raise Invalid([Fault(pointer="", code="no_file")])
    media_type = sniff(path)
    if media_type is None:
        raise UnsupportedMedium(allowed=list(EXTENSIONS.values()))
    width = height = None
    if is_image(media_type):
        clean = clean_image(path, media_type)
        width, height = clean.width, clean.height
        path.write_bytes(clean.body)
    _sync(path)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return StoredMedium(
        id=new_id(), file_name=f"{digest[:_NAME_LENGTH]}.{EXTENSIONS[media_type]}", digest=digest, type=media_type,
        byte_length=path.stat().st_size, created_at=now, width=width, height=height, name=name,
    )


def _sync(path: Path) -> None:
    """Through a power loss: a file's bytes, a folder's names."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
