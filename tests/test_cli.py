"""The `diglot` command as an operator runs it: a process of its own, on a data folder of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from service.cli import find_port_hint
from service.config import read_settings
from service.supervisor import answers_http, hold_data
from tests.conftest import ROOT, SECRET_KEY


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


@pytest.mark.parametrize(
    "url", ["redis://h/0", "rediss://h", "redis+socket:///x?virtual_host=0", "sentinel://a;sentinel://b"]
)
def test_each_form_of_redis_that_celery_serves_is_taken(url: str) -> None:
    assert read_settings({"DIGLOT_REDIS_URL": url}).redis_url == url


@pytest.mark.parametrize("url", ["sqlite:////x/y.db", "postgresql+psycopg://u:p@h/d"])
def test_each_form_of_database_that_is_served_is_taken(url: str) -> None:
    assert read_settings({"DIGLOT_DATABASE_URL": url}).database_url == url


@pytest.mark.parametrize("scheme", ["postgres", "postgresql"])
def test_the_address_that_postgresqls_own_tools_take_is_taken(scheme: str) -> None:
    url = read_settings({"DIGLOT_DATABASE_URL": f"{scheme}://u:p@h/d"}).database_url
    assert url == "postgresql+psycopg://u:p@h/d"


@pytest.mark.parametrize(("name", "value", "words"), [
    ("DIGLOT_REDIS_URL", "bogus", "must begin with redis://"),
    ("DIGLOT_REDIS_URL", "amqp://u:hunter2@h", "not with amqp://…"),
    ("DIGLOT_DATABASE_URL", "foo://u:hunter2@x", "must begin with sqlite:///"),
    ("DIGLOT_DATABASE_URL", "mysql://x/y", "not with mysql://…"),
    ("DIGLOT_DATABASE_URL", "postgresql://u:hunter2@h:port/d", "can't be read"),
    ("DIGLOT_ADMIN_KEY", "hunter2", "at least 20"),
    ("DIGLOT_SECRET_KEY", "hunter2", "must hold the base64 of 32 bytes"),
    ("DIGLOT_ADMIN_KEY", "hunter2 hunter2 hunter2 hunter2", "at least 20"),
])
def test_a_variable_that_cannot_be_used_is_named_in_a_line_without_its_secret(
    tmp_path: Path, name: str, value: str, words: str
) -> None:
    ended = diglot(tmp_path, "migrate", **{"DIGLOT_SECRET_KEY": SECRET_KEY, name: value})
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"diglot: {name} ") and words in ended.stderr
    assert "Traceback" not in ended.stderr and "hunter2" not in ended.stderr


@pytest.mark.parametrize("character", ["\x01", "\ud800", "\uffff"])
def test_a_profile_that_no_feed_could_carry_is_refused(tmp_path: Path, character: str) -> None:
    profile = json.loads((ROOT / "newsroom.json").read_text("utf-8"))
    profile["name"]["en"] += character
    (tmp_path / "newsroom.json").write_text(json.dumps(profile), "utf-8")
    ended = diglot(tmp_path, "migrate", DIGLOT_PROFILE=str(tmp_path / "newsroom.json"))
    assert (ended.returncode, "Traceback" in ended.stderr) == (1, False)
    assert f"/name/en in the newsroom profile holds characters that no feed may carry: U+{ord(character):04X}." in (
        ended.stderr
    )


def test_addresses_that_lead_elsewhere_are_warned_of(tmp_path: Path) -> None:
    assert "DIGLOT_PORT=8080" in diglot(tmp_path, "migrate", DIGLOT_PORT="8081").stderr
    assert diglot(tmp_path, "migrate").stderr == ""


@pytest.mark.parametrize(("base_url", "port", "is_told"), [
    ("http://127.0.0.1:8080", 8080, False), ("http://127.0.0.1:8080", 9, True), ("http://localhost", 80, False),
    ("http://[::1]:1", 2, True), ("https://news.example", 8080, False), ("https://news.example:444", 8080, False),
])
def test_only_an_address_of_this_machine_can_have_the_wrong_port(base_url: str, port: int, is_told: bool) -> None:
    assert bool(find_port_hint(base_url, port)) is is_told


def test_run_says_when_it_is_ready_and_says_nothing_else_to_worry_about(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    profile = json.loads((ROOT / "newsroom.json").read_text("utf-8")) | {"base_url": f"http://127.0.0.1:{port}"}
    (tmp_path / "newsroom.json").write_text(json.dumps(profile), "utf-8")
    environ = {
        **os.environ, "PYTHONUNBUFFERED": "1", "DIGLOT_PORT": str(port), "DIGLOT_DATA_DIR": str(tmp_path / "data"),
        "DIGLOT_PROFILE": str(tmp_path / "newsroom.json"),
    }
    command = [sys.executable, "-c", "from service.cli import main; main()", "run"]
    with (tmp_path / "errors").open("w+") as errors, subprocess.Popen(
        command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=errors, text=True
    ) as process:
        try:
            assert process.stdout
            ready = next(line for line in process.stdout if line.startswith("Ready"))
            assert ready == f"Ready: listening on 127.0.0.1:{port}. Ctrl-C stops it.\n"
            assert answers_http(port)
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 0
        errors.seek(0)
        said = errors.read()
    assert "superuser" not in said and "Python threads" not in said


@pytest.mark.parametrize(("arguments", "words"), [
    (["", "--role", "staff"], "/name This text is empty"),
    (["a\nb", "--role", "staff"], "/name This must be one line"),
    (["x" * 201, "--role", "staff"], "/name This text is too long"),
    (["x", "--role", "partner", "--partner", " "], "/partner This text is empty"),
])
def test_a_key_that_the_api_would_not_make_is_refused(tmp_path: Path, arguments: list[str], words: str) -> None:
    diglot(tmp_path, "migrate")
    ended = diglot(tmp_path, "keys", "create", *arguments)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith(f"diglot: {words}")


def test_a_key_is_made_listed_and_revoked_once(tmp_path: Path) -> None:
    diglot(tmp_path, "migrate")
    assert diglot(tmp_path, "keys", "create", "桌面", "--role", "staff").stdout.startswith("diglot_")
    [line] = [line for line in diglot(tmp_path, "keys", "list").stdout.splitlines() if "桌面" in line]
    key_id = line.split()[0]
    assert diglot(tmp_path, "keys", "revoke", key_id).returncode == 0
    again = diglot(tmp_path, "keys", "revoke", key_id)
    assert (again.returncode, again.stderr) == (
        1, f"diglot: There is no API key with the id {key_id}. Please check the id.\n"
    )
