"""Programs on a machine of the test's own: `tests.faults.namespace`."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import ROOT

AS_ROOT = ("unshare", "--net", "--mount")
WAYS = (AS_ROOT, (*AS_ROOT, "--user", "--map-root-user"))

# A module beside this one and its arguments, to what it prints as JSON.
RunApart = Callable[..., Any]


def find_apart() -> RunApart:
    """What runs a program in namespaces of its own; where there can be none, the test is skipped."""
    if not socket.has_dualstack_ipv6():
        pytest.skip("this machine has no IPv6")
    way = _find_way()

    def run(module: str, *arguments: str) -> Any:
        command = [*way, sys.executable, "-m", f"tests.faults.{module}", *arguments]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=180, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


def _find_way() -> tuple[str, ...]:
    for way in WAYS:
        try:
            tried = subprocess.run([*way, "true"], capture_output=True, text=True, check=False)
        except FileNotFoundError:
            pytest.skip("there is no unshare (util-linux) to make a machine of the test's own with")
        if tried.returncode == 0:
            return way
    pytest.skip(f"no namespaces may be made here: {tried.stderr.strip()}")
