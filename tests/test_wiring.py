"""The wires between the parts, which no type checker sees."""

from __future__ import annotations

import base64
import inspect
import json
import os
import re
import subprocess
import sys
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from flask.testing import FlaskClient

from service import queue
from service.api.auth import PUBLIC
from service.config import read_settings
from service.processes import Program
from service.queue import Queue
from service.supervisor import service_stages
from tests.conftest import ROOT
from tests.services.valkey import start_valkey

TASKS = {queue.PUBLISH, queue.DELIVER, queue.VERIFY, queue.NOTIFY, queue.SWEEP}


def test_every_sent_name_is_a_task_and_the_other_way_round(workers_app: Celery) -> None:
    """Celery accepts a misspelt name in silence."""
    registered = {name for name in workers_app.tasks if not name.startswith("celery.")}
    assert registered == TASKS == set(queue.ROUTES)


def test_every_task_takes_what_is_sent(workers_app: Celery) -> None:
    """Messages carry no arguments: the row is the truth."""
    for name in TASKS:
        assert not inspect.signature(workers_app.tasks[name].run).parameters, name
    with start_valkey() as valkey:
        sender = Queue(valkey.url)
        for send in (sender.publish, partial(sender.deliver, couriers=3), sender.verify, sender.notify):
            send()
        with valkey.connect() as client:
            sent = [json.loads(raw) for name in ("publish", "deliver") for raw in client.lrange(name, 0, -1)]
    names = Counter(message["headers"]["task"] for message in sent)
    assert names == {queue.PUBLISH: 1, queue.DELIVER: 3, queue.VERIFY: 1, queue.NOTIFY: 1}
    for message in sent:
        arguments, by_name, _ = json.loads(base64.b64decode(message["body"]))
        assert not arguments and not by_name


def test_beat_sends_only_known_tasks(workers_app: Celery) -> None:
    for entry in workers_app.conf.beat_schedule.values():
        assert entry["task"] in TASKS


@pytest.fixture
def programs(tmp_path: Path) -> dict[str, Program]:
    settings = read_settings({"DIGLOT_DATA_DIR": str(tmp_path)})
    return {program.name: program for stage in service_stages(settings) for program in stage}


def test_every_queue_is_consumed(programs: dict[str, Program]) -> None:
    options = programs["worker"].command
    consumed = options[options.index("-Q") + 1]
    assert set(consumed.split(",")) == {route["queue"] for route in queue.ROUTES.values()}


@pytest.mark.parametrize("name", ["web", "worker", "beat"])
def test_a_container_runs_what_the_supervisor_runs(name: str, programs: dict[str, Program], tmp_path: Path) -> None:
    """The commands and their time to stop stand in two places; only addresses and paths may differ."""
    moved = {"127.0.0.1": "0.0.0.0", str(tmp_path / "run/beat"): "/tmp/beat"}
    container = read_compose()["services"][name]
    command = container["command"] or read_image_command()
    assert command[2 if command[:2] == ["python", "-m"] else 0:] == [
        moved.get(word, word) for word in programs[name].command[2:]
    ]
    assert container.get("stop_grace_period", "10s") == f"{programs[name].stop_seconds:g}s"


def read_compose() -> Any:
    command = [Path(sys.executable).with_name("docker-compose"), "-f", ROOT / "compose.yaml", "config"]
    secrets = {"POSTGRES_PASSWORD": "x", "DIGLOT_ADMIN_KEY": "x", "DIGLOT_SECRET_KEY": "x"}
    return json.loads(subprocess.check_output([*command, "--format", "json"], env=os.environ | secrets))


def read_image_command() -> Any:
    found = re.search(r"^CMD (\[.*\])", (ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert found
    return json.loads(found[1].replace("\\\n", ""))


def test_every_route_names_its_roles_or_is_public(client: FlaskClient) -> None:
    views = client.application.view_functions
    guarded = {endpoint for endpoint, view in views.items() if getattr(view, "diglot_roles", None)}
    assert guarded | PUBLIC == set(views)
    assert not guarded & PUBLIC


def test_every_guarded_route_refuses_strangers(client: FlaskClient) -> None:
    for rule in client.application.url_map.iter_rules():
        if rule.endpoint in PUBLIC:
            continue
        path = re.sub(r"<[^>]+>", "0192f0c0-0000-7000-8000-000000000000", re.sub(r"<int:[^>]+>", "1", rule.rule))
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic eDp5"}):
                answer = client.open(path, method=method, headers=headers)
                assert answer.status_code == 401, (method, rule.rule)
                assert answer.headers["WWW-Authenticate"].startswith("Bearer")
                assert answer.json["code"] == "unauthorized"


def test_a_small_role_is_forbidden(client: FlaskClient, staff: dict[str, str]) -> None:
    assert client.get("/v1/keys", headers=staff).status_code == 403


def test_openapi_says_nothing_that_the_documentation_page_warns_of(client: FlaskClient) -> None:
    """Swagger UI shows a red box over any dialect that is named, even the default."""
    assert "jsonSchemaDialect" not in client.get("/v1/openapi.json").json


def test_openapi_covers_every_route(client: FlaskClient) -> None:
    described = client.get("/v1/openapi.json").json["paths"]
    hidden = {"static", "swagger_ui.show", "web.robots", "web.favicon", "hub.get_hub"}
    for rule in client.application.url_map.iter_rules():
        if rule.endpoint in hidden:
            continue
        shape = re.sub(r"<(?:[a-z]+:)?[^>]+>", "{}", rule.rule)
        shapes = {shape, re.sub(r"\{\}$", "{}.{}", shape)}
        paths = [path for path in described if re.sub(r"\{[^}]+\}", "{}", path) in shapes]
        assert paths, rule.rule
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            assert method.lower() in described[paths[0]], (method, rule.rule)


def test_only_our_own_server_is_asked_for_the_documentation(client: FlaskClient) -> None:
    """The page must work in a closed network: no script, style or font from elsewhere."""
    with client.get("/docs/") as page:
        links = re.findall(r"(?:src|href)=\"([^\"]+)\"", page.text)
    assert links
    for link in links:
        assert "//" not in link, link
        with client.get(f"/docs/{link.removeprefix('./').removeprefix('/docs/')}") as asset:
            assert asset.status_code == 200, link
