"""A name that is public when it is ordered and ours when it is pushed to, asked of a real DNS: no connection is tried.

Everything is as it would be in the wild, but on a machine of its own: `tests.faults.namespace`.
"""

from __future__ import annotations

from typing import Any

import pytest

from service.storage import Storage
from tests.faults.apart import RunApart
from tests.faults.namespace import PUBLIC
from tests.faults.rebinding import TURNS

pytestmark = [pytest.mark.fault, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def pushed(run_apart: RunApart) -> Any:
    return run_apart("rebinding")


@pytest.mark.parametrize("name", TURNS)
def test_a_name_that_turns_away_from_the_public_reaches_nobody(pushed: Any, name: str) -> None:
    """Though somebody is there, whom the same push reaches as soon as the operator allows all networks."""
    _, inside = TURNS[name]
    assert pushed[name]["open"] == [[204, None, [PUBLIC]], [204, None, [inside]]], "the trap is none"
    before, (status, error, connected) = pushed[name]["guarded"]
    assert before == [204, None, [PUBLIC]]
    assert (status, connected) == (None, [])
    assert error == "address_refused" or (error == "connect_failed" and "beside" in name)


def test_what_a_partner_is_owed_waits_until_its_name_is_public_again(
    run_apart: RunApart, storage: Storage
) -> None:
    public, ours, again = run_apart("rebinding", storage.url)
    [[first, *_]] = public["deliveries"]
    assert public == {"came": [[PUBLIC], [first]], "deliveries": [[first, "delivered", [[204, None]]]]}
    [second, *rest] = ours["deliveries"][1]
    assert (ours["came"], rest) == ([[], []], ["due", [[None, "address_refused"]]])
    assert again["came"] == [[PUBLIC], [second]]
    assert again["deliveries"][1] == [second, "delivered", [[None, "address_refused"], [204, None]]]
