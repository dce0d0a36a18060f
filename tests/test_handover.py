"""Over the real server: which thread does what of a request."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.servers import fetch, serve
from tests.test_doorway import unfinished

pytestmark = pytest.mark.skipif(not hasattr(os, "SCHED_BATCH"), reason="only Linux knows turns")

BRINGER, ASKED, LOOP = b"bringer/batch", b"asked/batch", b"loop/batch"


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with serve("tests.turns:app") as port:
        yield port


def test_what_needs_no_loop_is_answered_where_it_came(port: int) -> None:
    assert fetch(port, "GET", "/") == (200, b" ".join([BRINGER, BRINGER]))


def test_what_has_reached_the_loop_stays_there(port: int) -> None:
    assert fetch(port, "GET", "/reach-loop/on") == (200, b" ".join([BRINGER, LOOP, LOOP]))


@pytest.mark.parametrize(("path", "said"), [
    ("/ask/on", [BRINGER, b"told", ASKED, ASKED]),
    ("/ask/reach-loop", [BRINGER, b"told", ASKED, LOOP]),
    ("/ask/ask", [BRINGER, b"told", ASKED, b"told", ASKED]),
    ("/reach-loop/ask", [BRINGER, LOOP, b"told", LOOP]),
])
def test_who_waits_for_another_thread_goes_on_in_it_unless_the_loop_was_reached(
    port: int, path: str, said: list[bytes]
) -> None:
    assert fetch(port, "GET", path) == (200, b" ".join(said))


def test_a_body_is_read_in_the_loop_and_keeps_nobody_waiting(port: int) -> None:
    with unfinished(port, 40, "/reach-loop/read"):
        assert fetch(port, "GET", "/")[0] == fetch(port, "GET", "/reach-loop")[0] == 200
        assert fetch(port, "POST", "/reach-loop/read", b"hello") == (200, b" ".join([BRINGER, LOOP, b"hello", LOOP]))


@pytest.mark.parametrize("path", ["/fail", "/ask/fail", "/reach-loop/fail"])
def test_a_fault_is_a_500_and_the_end_of_nothing_else(port: int, path: str) -> None:
    for _ in range(3):
        assert fetch(port, "GET", path)[0] == 500
        assert fetch(port, "GET", "/")[0] == 200


ENTRY = """
import asyncio, os
loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)
import service.asgi
async def request(): print("began")
loop.call_soon_threadsafe(print, request())
loop.run_until_complete(asyncio.sleep(0))
print("in turns" if os.sched_getscheduler(0) == os.SCHED_BATCH else "as it comes")
"""


def test_the_service_begins_requests_where_they_come_and_works_in_turns(tmp_path: Path) -> None:
    environ = os.environ | {"DIGLOT_DATA_DIR": str(tmp_path), "DIGLOT_REDIS_URL": "redis://127.0.0.1:1"}
    said = subprocess.check_output([sys.executable, "-c", ENTRY], cwd=ROOT, env=environ, text=True)
    assert said.splitlines() == ["began", "in turns"], "the loop has nothing to print"
