"""Secrets at rest: what partners must keep secret with us is stored sealed, by a key that the database doesn't hold."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken
from itsdangerous import Signer

from service.config import Settings
from service.errors import ConfigurationError, SecretUnreadable
from service.variables import parse_secret_keys

_SEALED = "sealed:"
_KEY_FILE = "secret.key"
# Some 500 bytes each.
_MOST_OPENED = 16_384


class Vault:
    """Seals with the first key, opens with any of them. Each key is the base64 of 32 bytes.

    Sealed text is ``sealed:``, a name of the key that tells nothing of it, ``:`` and a Fernet token (AES-128-CBC
    and HMAC-SHA256). What doesn't begin so was stored before there were keys, and opens as it is.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = tuple(keys)
        self._ciphers = {_name_key(key): Fernet(key) for key in keys}
        self._first = next(iter(self._ciphers), None)
        # In memory they are anyhow while they sign; to open one takes longer than to sign with it.
        self._opened = lru_cache(_MOST_OPENED)(self._decrypt)

    @property
    def prefix(self) -> str:
        """How everything begins that the first key sealed. Raises ConfigurationError where there is no key."""
        if self._first is None:
            raise ConfigurationError(reason="there is no key to seal secrets with: set DIGLOT_SECRET_KEY")
        return f"{_SEALED}{self._first}:"

    def seal(self, text: str) -> str:
        return self.prefix + self._ciphers[self.prefix.split(":")[1]].encrypt(text.encode()).decode()

    def open(self, stored: str) -> str:
        """Raises SecretUnreadable if no key of ours sealed it, or if it was changed since."""
        return self._opened(stored) if stored.startswith(_SEALED) else stored

    def signer(self, purpose: str) -> Signer:
        """Signs with the first key what comes back to us, and knows what any of them signed.

        What was signed for one purpose holds for no other, for each has keys of its own that ours yield.
        """
        # The library signs with the last.
        return Signer(self._keys[::-1], salt=purpose, key_derivation="hmac", digest_method=hashlib.sha256)

    def _decrypt(self, stored: str) -> str:
        _, name, token = stored.split(":", 2)
        try:
            return self._ciphers[name].decrypt(token).decode()
        except (KeyError, InvalidToken):
            raise SecretUnreadable(key=name) from None

    def opens(self, stored: str) -> bool:
        try:
            self.open(stored)
        except SecretUnreadable:
            return False
        return True


def open_vault(settings: Settings) -> Vault:
    """With the keys of the environment, else with one that is made and kept in the data folder.

    Raises ConfigurationError where that folder isn't all that there is: on another machine it would be another key.
    """
    if settings.secret_keys:
        return Vault(settings.secret_keys)
    if not settings.database_url.startswith("sqlite"):
        raise ConfigurationError(
            reason="DIGLOT_SECRET_KEY must be set where the database is a server, for every process needs the same "
            "key; `openssl rand -base64 32` makes one"
        )
    path = settings.data_dir / _KEY_FILE
    _ensure_key(path)
    return Vault(parse_secret_keys(path.read_text("ascii", "replace"), str(path)))


def _ensure_key(path: Path) -> None:
    """Whole and durable before it has its name, for of several processes one comes first."""
    if path.exists():
        return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, fresh = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.")
    with os.fdopen(descriptor, "wb") as file:
        file.write(Fernet.generate_key() + b"\n")
        file.flush()
        os.fsync(file.fileno())
    with suppress(FileExistsError):
        os.link(fresh, path)
    Path(fresh).unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


def _name_key(key: str) -> str:
    return hashlib.sha256(b"diglot key name\0" + key.encode()).hexdigest()[:8]
