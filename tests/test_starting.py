"""A process that can't begin says why in a line, and ends; those that a server starts are no exception."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from service.config import read_settings
from service.supervisor import service_stages
from tests.conftest import ROOT, SECRET_KEY
from tests.faults.processes import free_port

UNREACHABLE = {"DIGLOT_REDIS_URL": "redis://127.0.0.1:1/0", "DIGLOT_DATABASE_URL": "postgresql://u@127.0.0.1:1/d"}


@pytest.mark.parametrize(("names", "given", "sentence"), [
    (["web", "worker"], {}, "DIGLOT_SECRET_KEY must be set where the database is a server"),
    (["web", "worker"], {"DIGLOT_SECRET_KEY": SECRET_KEY, "DIGLOT_PROFILE": "/none.json"}, "/none.json is missing"),
    (["web", "worker", "beat"], {"DIGLOT_SECRET_KEY": "short"}, "DIGLOT_SECRET_KEY must hold the base64 of 32 bytes"),
    (["web", "worker", "beat"], {"DIGLOT_REDIS_URL": ""}, "needs DIGLOT_REDIS_URL"),
    (["web", "worker"], {"DIGLOT_DATA_DIR": "/proc/none", "DIGLOT_DATABASE_URL": ""}, "'/proc/none'"),
], ids=["no-key", "no-profile", "short-key", "no-broker", "no-folder"])
def test_what_cannot_begin_says_why_and_ends(
    tmp_path: Path, names: list[str], given: dict[str, str], sentence: str
) -> None:
    """A worker that took tasks without the key would fail each of them, and look alive meanwhile."""
    settings = read_settings({"DIGLOT_PORT": str(free_port()), "DIGLOT_DATA_DIR": str(tmp_path)})
    programs = {program.name: program for stage in service_stages(settings) for program in stage}
    variables = {"DIGLOT_DATA_DIR": str(tmp_path), **UNREACHABLE, **given}
    for name in names:
        ended = subprocess.run(
            programs[name].command, cwd=ROOT, env=os.environ | variables, text=True, capture_output=True, timeout=60,
        )
        told = ended.stdout + ended.stderr
        assert sentence in told and "Traceback" not in told, (name, told)
        assert ended.returncode != 0, name
