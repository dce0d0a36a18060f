"""The `diglot` command as an operator runs it: a process of its own, on a data folder of its own."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

from service.supervisor import hold_data
from tests.conftest import ROOT


def diglot(folder: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """The command after it has ended, run by a user whose new files are open to everybody."""
    given = {name: value for name, value in os.environ.items() if not name.startswith("DIGLOT_")}
    return subprocess.run(
        [sys.executable, "-c", "from service.cli import main; main()", *arguments], cwd=ROOT, text=True,
        env={**given, "DIGLOT_DATA_DIR": str(folder), **environ}, capture_output=True, timeout=60, umask=0o022,
    )


def test_what_it_keeps_is_for_its_own_user_alone(tmp_path: Path) -> None:
    assert diglot(tmp_path / "data", "migrate").returncode == 0
    paths = (tmp_path / "data", tmp_path / "data/diglot.sqlite3")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in paths}
    assert modes["data"] == 0o700
    assert modes["diglot.sqlite3"] == 0o600


def test_a_data_folder_that_others_could_enter_is_closed_to_them(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with hold_data(tmp_path):
        assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700
