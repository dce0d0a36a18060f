"""Secrets at rest: sealed by a key that the database doesn't hold, and opened by that key alone."""

from __future__ import annotations

import base64
import os
import stat
import threading
from pathlib import Path

import pytest

from service.config import read_settings
from service.errors import ConfigurationError, SecretUnreadable
from service.model import Secret
from service.vault import Vault, open_vault
from tests.test_cli import diglot

PLAIN = "whsec_c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0"


def make_key() -> str:
    return base64.b64encode(os.urandom(32)).decode()


def test_what_is_sealed_opens_again_and_looks_different_each_time() -> None:
    vault = Vault([make_key()])
    first, second = vault.seal(PLAIN), vault.seal(PLAIN)
    assert vault.open(first) == vault.open(second) == PLAIN
    assert first != second and PLAIN not in first + second


def test_the_first_key_seals_and_every_key_opens() -> None:
    old, new = make_key(), make_key()
    sealed = Vault([old]).seal(PLAIN)
    both = Vault([new, old])
    assert both.open(sealed) == PLAIN
    assert Vault([new]).open(both.seal(PLAIN)) == PLAIN


def test_another_key_or_a_changed_letter_opens_nothing() -> None:
    vault = Vault([make_key()])
    sealed = vault.seal(PLAIN)
    changed = sealed[:-9] + ("A" if sealed[-9] != "A" else "B") + sealed[-8:]
    for opener, text in ((Vault([make_key()]), sealed), (vault, changed), (Vault([]), sealed)):
        with pytest.raises(SecretUnreadable) as caught:
            opener.open(text)
        assert PLAIN not in str(caught.value)


def test_what_was_stored_before_there_were_keys_opens_as_it_is() -> None:
    assert Vault([make_key()]).open(PLAIN) == PLAIN


def test_without_a_key_nothing_is_sealed() -> None:
    with pytest.raises(ConfigurationError, match="DIGLOT_SECRET_KEY"):
        Vault([]).seal(PLAIN)


def test_a_secret_is_shown_by_reveal_alone() -> None:
    secret = Secret(PLAIN)
    assert PLAIN not in repr(secret) + str(secret) + f"{secret}" + repr([secret])
    assert secret.reveal() == PLAIN


@pytest.mark.parametrize("between", [",", " ", "\n", ", "])
def test_several_keys_are_taken_in_either_alphabet(between: str) -> None:
    """`openssl rand -base64 32` writes + and /, Fernet.generate_key - and _."""
    keys = [base64.b64encode(b"\xff" * 32).decode(), base64.urlsafe_b64encode(b"\xfb" * 32).decode()]
    settings = read_settings({"DIGLOT_SECRET_KEY": between.join(keys)})
    sealed = Vault([keys[1]]).seal(PLAIN)
    assert open_vault(settings).open(sealed) == PLAIN
    assert not any(key in repr(settings) for key in (*keys, *settings.secret_keys))


@pytest.mark.parametrize("text", ["hunter2", "a" * 43, base64.b64encode(b"x" * 31).decode(), ",", "é" * 44])
def test_a_key_that_can_not_be_used_is_named_and_not_repeated(text: str) -> None:
    with pytest.raises(ConfigurationError, match="DIGLOT_SECRET_KEY must hold") as caught:
        read_settings({"DIGLOT_SECRET_KEY": text})
    assert text == "," or text not in str(caught.value)


def test_a_server_wants_the_key_from_the_environment(tmp_path: Path) -> None:
    environ = {"DIGLOT_DATABASE_URL": "postgresql+psycopg://u@127.0.0.1:1/d", "DIGLOT_DATA_DIR": str(tmp_path)}
    ended = diglot(tmp_path, "migrate", **environ)
    assert ended.returncode == 1
    assert ended.stderr.startswith("diglot: DIGLOT_SECRET_KEY must be set") and "openssl" in ended.stderr
    assert not (tmp_path / "secret.key").exists()


def test_the_data_folder_keeps_a_key_of_its_own_for_its_user_alone(tmp_path: Path) -> None:
    settings = read_settings({"DIGLOT_DATA_DIR": str(tmp_path / "data")})
    sealed = open_vault(settings).seal(PLAIN)
    assert open_vault(settings).open(sealed) == PLAIN
    [path] = (tmp_path / "data").iterdir()
    assert (path.name, stat.S_IMODE(path.stat().st_mode)) == ("secret.key", 0o600)


def test_processes_that_start_together_have_one_key(tmp_path: Path) -> None:
    settings = read_settings({"DIGLOT_DATA_DIR": str(tmp_path)})
    barrier, sealed = threading.Barrier(8), []

    def seal() -> None:
        barrier.wait()
        sealed.append(open_vault(settings).seal(PLAIN))

    threads = [threading.Thread(target=seal) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    vault = open_vault(settings)
    assert [vault.open(text) for text in sealed] == [PLAIN] * 8
