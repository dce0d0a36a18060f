"""The state machine as a table: every move from every state, told as what it comes to or as what is allowed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient

from service.lifecycle import MOVES, PUBLIC, IllegalMove, Move, next_state
from service.messages import load_catalogue
from service.model import ReleaseState
from tests.conftest import StoppedClock

# Written out once more by hand: columns are revise, schedule, unschedule, publish, withdraw.
TABLE = """
draft      draft      scheduled  -          published  -
scheduled  scheduled  scheduled  draft      published  -
published  corrected  -          -          -          withdrawn
corrected  corrected  -          -          -          withdrawn
withdrawn  -          -          -          -          -
"""
COLUMNS = ("revise", "schedule", "unschedule", "publish", "withdraw")
ROWS = {state: dict(zip(COLUMNS, cells, strict=True)) for state, *cells in map(str.split, TABLE.strip().splitlines())}
CELLS = [(state, move, target) for state, row in ROWS.items() for move, target in row.items()]
REFUSED = [(state, move) for state, move, target in CELLS if target == "-"]


def allowed(state: str) -> list[str]:
    return [move for move, target in ROWS[state].items() if target != "-"]


def test_the_table_knows_every_state_and_every_move() -> None:
    assert set(ROWS) == set(MOVES) == set(ReleaseState)
    assert set(COLUMNS) == set(Move)
    assert {"published", "corrected"} == PUBLIC


@pytest.mark.parametrize(("state", "move", "target"), CELLS)
def test_every_move_leads_where_the_table_says_or_is_refused_with_what_is_allowed(
    state: str, move: str, target: str
) -> None:
    if target != "-":
        assert next_state(ReleaseState(state), Move(move)) == target
        return
    with pytest.raises(IllegalMove) as refused:
        next_state(ReleaseState(state), Move(move))
    assert refused.value.params == {"state": state, "move": move, "allowed": allowed(state)}


@pytest.fixture
def api(client: FlaskClient, staff: dict[str, str], release_document: dict[str, Any], clock: StoppedClock) -> Any:
    headers = {**staff, "If-Match": "*"}
    bodies = {
        "withdraw": {"reason": {"en": "x"}},
        "schedule": {"publish_at": (clock() + timedelta(hours=1)).isoformat(timespec="seconds")},
        "revise": {
            **release_document, "siblings": "unaffected",
            "contacts": [{"name": "Somebody else"}],
        },
    }

    def move(release_id: str, name: str, language: str = "en") -> Any:
        method, path = ("PUT", "") if name == "revise" else ("POST", f"/{name}")
        return client.open(
            f"/v1/releases/{release_id}{path}", method=method, json=bodies.get(name),
            headers={**headers, "Accept-Language": language},
        )

    def make(state: str) -> str:
        path = {"draft": (), "scheduled": ("schedule",), "published": ("publish",),
                "corrected": ("publish", "revise"), "withdrawn": ("publish", "withdraw")}[state]
        document = release_document | {"status": "draft"}
        release_id: str = client.post("/v1/releases", json=document, headers=headers).json["id"]
        for name in path:
            assert move(release_id, name).status_code == 200
        return release_id

    def state_of(release_id: str) -> Any:
        return client.get(f"/v1/releases/{release_id}", headers=headers).json["state"]

    return make, move, state_of


def test_every_move_over_http_leads_where_the_table_says(api: Any) -> None:
    make, move, _ = api
    for state, name, target in CELLS:
        if target != "-":
            answer = move(make(state), name)
            assert (answer.status_code, answer.json["state"]) == (200, target), (state, name)


def test_every_illegal_move_over_http_is_a_conflict_that_names_what_is_allowed_in_both_languages(api: Any) -> None:
    make, move, state_of = api
    ids = {state: make(state) for state in ROWS}
    for state, name in REFUSED:
        for language in ("zh", "en"):
            words = load_catalogue(language)  # type: ignore[arg-type]
            answer = move(ids[state], name, language)
            assert (answer.status_code, answer.json["code"]) == (409, "illegal_move"), (state, name)
            assert answer.json["allowed"] == allowed(state)
            for term in (f"state.{state}", f"move.{name}", *(f"allowed.{each}" for each in allowed(state))):
                assert words[f"term.{term}"] in answer.json["detail"], answer.json
            assert not allowed(state) or words["term.none"] not in answer.json["detail"].split()[-1]
        assert state_of(ids[state]) == state
