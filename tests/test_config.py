"""The environment and the newsroom profile: what they default to, and each mistake said in a line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from service.config import load_profile, operator_language, read_settings
from service.errors import ConfigurationError
from tests.conftest import ROOT

DIGLOT = Path(sys.executable).with_name("diglot")


def test_an_empty_environment_means_the_embedded_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = read_settings({})
    assert settings.port == 8080
    assert settings.data_dir == tmp_path / "data"
    assert settings.profile_path == tmp_path / "newsroom.json"
    assert settings.database_url == f"sqlite:///{tmp_path}/data/diglot.sqlite3"
    assert settings.redis_url is None
    assert settings.admin_key is None
    assert settings.allowed_networks.networks == ()
    assert settings.max_body_bytes == 1024 * 1024


@pytest.mark.parametrize("name", [
    "PORT", "DATA_DIR", "PROFILE", "DATABASE_URL", "REDIS_URL", "ADMIN_KEY", "ALLOW_NETWORKS", "MAX_BODY_BYTES",
])
def test_an_empty_variable_is_one_that_is_not_set(name: str) -> None:
    assert read_settings({f"DIGLOT_{name}": ""}) == read_settings({})


@pytest.mark.parametrize(("name", "value", "member", "expected"), [
    ("PORT", "1", "port", 1),
    ("PORT", "65535", "port", 65535),
    ("DATA_DIR", "/srv/新闻", "data_dir", Path("/srv/新闻")),
    ("DATA_DIR", "/srv/x", "database_url", "sqlite:////srv/x/diglot.sqlite3"),
    ("PROFILE", "/etc/newsroom.json", "profile_path", Path("/etc/newsroom.json")),
    ("DATABASE_URL", "postgresql+psycopg://host/name", "database_url", "postgresql+psycopg://host/name"),
    ("REDIS_URL", "redis://host/0", "redis_url", "redis://host/0"),
    ("ADMIN_KEY", "k" * 40, "admin_key", "k" * 40),
    ("MAX_BODY_BYTES", "2147483648", "max_body_bytes", 2**31),
])
def test_a_variable_is_taken(name: str, value: str, member: str, expected: Any) -> None:
    assert getattr(read_settings({f"DIGLOT_{name}": value}), member) == expected


@pytest.mark.parametrize(("name", "value"), [
    ("PORT", "0"), ("PORT", "65536"), ("PORT", "-1"), ("PORT", "http"), ("PORT", "80.0"), ("PORT", "８０"),
    ("PORT", " "),
    ("MAX_BODY_BYTES", "0"), ("MAX_BODY_BYTES", "1M"), ("MAX_BODY_BYTES", "2147483649"), ("MAX_BODY_BYTES", "9" * 5000),
    ("ALLOW_NETWORKS", "10.0.0.1/8"), ("ALLOW_NETWORKS", "everything"),
])
def test_a_variable_that_can_not_be_used_is_named(name: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=f"DIGLOT_{name} "):
        read_settings({f"DIGLOT_{name}": value})


def test_secrets_are_not_shown() -> None:
    settings = read_settings({"DIGLOT_ADMIN_KEY": "s3cret" * 8, "DIGLOT_REDIS_URL": "redis://:s3cret@host/0",
                              "DIGLOT_DATABASE_URL": "postgresql+psycopg://me:s3cret@host/name"})
    assert "s3cret" not in repr(settings)


@pytest.mark.parametrize(("environ", "language"), [
    ({}, "en"), ({"LANG": ""}, "en"), ({"LANG": "C.UTF-8"}, "en"), ({"LANG": "fr_FR"}, "en"),
    ({"LANG": "zh_CN.UTF-8"}, "zh"), ({"LANG": "zh_CN", "LC_MESSAGES": "en_GB"}, "en"),
    ({"LANG": "en_GB", "LC_ALL": "zh_TW", "LC_MESSAGES": "en_GB"}, "zh"),
])
def test_the_operator_is_spoken_to_in_the_language_of_the_locale(environ: dict[str, str], language: str) -> None:
    assert operator_language(environ) == language


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a test's profile goes; its faults are told in English."""
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    return tmp_path / "newsroom.json"


def faults_of(path: Path) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        load_profile(path)
    heading, *lines = caught.value.params["reason"].split("\n")
    assert str(path) in heading
    assert all(line.startswith("  /") for line in lines)
    return [line.strip() for line in lines]


def changed(**members: Any) -> dict[str, Any]:
    document = json.loads((ROOT / "newsroom.json").read_text("utf-8"))
    return {name: value for name, value in {**document, **members}.items() if value is not None}


@pytest.mark.parametrize(("members", "faults"), [
    ({"base_url": "https://news.example/"}, {"/base_url": "without a slash at the end"}),
    ({"base_url": "news"}, {"/base_url": "without a slash at the end"}),
    ({"base_url": None}, {"/base_url": "“base_url” is missing"}),
    ({"baseurl": "x"}, {"/baseurl": "Did you mean “base_url”?"}),
    ({"id": "our newsroom"}, {"/id": "a full address"}),
    ({"name": {"en": "News"}}, {"/name/zh-Hans": "“zh-Hans” is missing"}),
    ({"name": "News"}, {"/name": "an object in braces"}),
    ({"name": {"zh-Hans": "", "en": "News"}}, {"/name/zh-Hans": "at least 1"}),
    ({"languages": {}}, {"/languages": "At least 1 must be given"}),
    ({"languages": []}, {"/languages": "an object in braces"}),
    ({"languages": {"zh_CN": {"url_name": "zh", "name": "中文"}}, "name": {"zh_CN": "x"}, "description": None,
      "categories": None}, {"/languages/zh_CN": "Use a language tag", "/name/zh_CN": "Use a language tag"}),
    ({"languages": {"zh-Hans": {"url_name": "zh", "name": "中"}, "en": {"url_name": "zh", "name": "E"}}},
     {"/languages/en/url_name": "Another language or the service itself"}),
    ({"languages": {"zh-Hans": {"url_name": "v1", "name": "中"}, "en": {"url_name": "e/n", "name": "E"}}},
     {"/languages/zh-Hans/url_name": "the service itself", "/languages/en/url_name": "small letter a to z"}),
    ({"categories": {"visits": {"en": "Visits"}}}, {"/categories/visits/zh-Hans": "“zh-Hans” is missing"}),
    ({"categories": {"Big News": {"zh-Hans": "a", "en": "b"}}}, {"/categories/Big News": "small letters"}),
    ({"contact": {"email": "nobody"}}, {"/contact/email": "press@example.org"}),
    ({"icon": "icon.png"}, {"/icon": "web address"}),
    ({"feed_entries": 0}, {"/feed_entries": "The least is 1"}),
    ({"feed_entries": "many"}, {"/feed_entries": "a whole number"}),
    # of the schema and of the newsroom alike, all at once
    ({"feed_entries": 501, "name": {"en": "News"}, "contact": {}},
     {"/contact/email": "missing", "/feed_entries": "The most is 500", "/name/zh-Hans": "missing"}),
])
def test_every_fault_of_a_profile_is_a_line_of_human_words(
    path: Path, members: dict[str, Any], faults: dict[str, str]
) -> None:
    path.write_text(json.dumps(changed(**members)), "utf-8")
    lines = faults_of(path)
    told = dict(line.split(": ", 1) for line in lines)
    assert told.keys() == faults.keys()
    assert len(lines) == len(told), "the same sentence twice"
    for pointer, words in faults.items():
        assert words in told[pointer]
        assert not set("{}^$") & set(told[pointer].replace("{ }", "")), "a sentence, not a program's value"


@pytest.mark.parametrize("document", [None, [], "newsroom", 7, {}])
def test_a_profile_of_another_shape_is_refused(path: Path, document: Any) -> None:
    path.write_text(json.dumps(document), "utf-8")
    assert faults_of(path)


@pytest.mark.parametrize("content", [b"", b"{", b'{"id": "\xff"}', b"[" * 100_000])
def test_what_is_no_json_is_no_profile(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    assert faults_of(path) == []


def test_a_mark_at_the_beginning_does_no_harm(path: Path) -> None:
    """Some editors write one before UTF-8."""
    path.write_text(json.dumps(changed()), "utf-8-sig")
    assert load_profile(path) == load_profile(ROOT / "newsroom.json")


def run_diglot(folder: Path, *arguments: str, **environ: str) -> tuple[int, str]:
    """The command as a shell runs it, with no variable of ours but these; its status and all that it says."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DIGLOT_", "LC_", "LANG"))}
    done = subprocess.run(
        [DIGLOT, *arguments], cwd=folder, env=kept | environ, timeout=60,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )
    assert "Traceback" not in done.stdout, done.stdout
    return done.returncode, done.stdout


@pytest.mark.parametrize("command", ["run", "migrate"])
@pytest.mark.parametrize(("locale", "heading", "words"), [
    ("C.UTF-8", "is not a valid newsroom profile", ["missing", "The least is 1"]),
    ("zh_CN.UTF-8", "不是有效的新闻室配置", ["缺少", "最小"]),
])
def test_a_bad_profile_stops_the_start_and_leaves_nothing_behind(
    path: Path, command: str, locale: str, heading: str, words: list[str]
) -> None:
    path.write_text(json.dumps(changed(name={"en": "News"}, feed_entries=0)), "utf-8")
    status, said = run_diglot(path.parent, command, LC_ALL=locale)
    lines = said.splitlines()
    assert (status, len(lines)) == (1, 3), said
    assert heading in lines[0]
    for line in lines[1:]:
        assert any(word in line for word in words), said
    assert not (path.parent / "data").exists()


@pytest.mark.parametrize(("arguments", "environ", "words"), [
    (["run"], {}, "newsroom.json is missing"),
    (["run"], {"DIGLOT_PORT": "http"}, "DIGLOT_PORT must be a whole number from 1 to 65535"),
    (["migrate"], {"DIGLOT_PROFILE": str(ROOT / "newsroom.json"), "DIGLOT_DATA_DIR": "/dev/null/data"}, "/dev/null"),
    (["run"], {"DIGLOT_PROFILE": str(ROOT / "newsroom.json"), "DIGLOT_DATA_DIR": "/dev/null/data"}, "/dev/null"),
    (["keys", "list"], {"DIGLOT_DATABASE_URL": "nonsense"}, "DIGLOT_DATABASE_URL must begin with"),
    (["keys", "list"], {"DIGLOT_DATABASE_URL": "oracle://host/name"}, "postgresql+psycopg://"),
    (["keys", "list"], {"DIGLOT_DATABASE_URL": "postgresql+psycopg://127.0.0.1:1/x"}, "127.0.0.1"),
    (["keys", "list"], {"DIGLOT_DATA_DIR": "/dev/null/data"}, "unable to open database file"),
])
def test_what_can_not_work_is_said_in_a_line(
    tmp_path: Path, arguments: list[str], environ: dict[str, str], words: str
) -> None:
    status, said = run_diglot(tmp_path, *arguments, LC_ALL="C.UTF-8", **environ)
    assert status == 1
    assert said.startswith("diglot: ")
    assert words in said


@pytest.mark.parametrize(("arguments", "status"), [
    (["--help"], 0), (["--version"], 0), (["keys", "create", "--help"], 0),
    (["nonsense"], 2), (["keys", "create", "x", "--role", "king"], 2), (["keys", "revoke", "7"], 2),
    (["keys", "create", "x", "--role", "partner"], 2),
])
def test_the_command_explains_itself_without_any_newsroom(tmp_path: Path, arguments: list[str], status: int) -> None:
    assert run_diglot(tmp_path, *arguments)[0] == status
