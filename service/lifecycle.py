"""The states of a release and the moves between them, pure: one table says all."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from service.errors import Conflict
from service.model import ReleaseState

DRAFT, SCHEDULED, PUBLISHED, CORRECTED, WITHDRAWN = ReleaseState


class Move(StrEnum):
    REVISE = "revise"
    SCHEDULE = "schedule"
    UNSCHEDULE = "unschedule"
    PUBLISH = "publish"
    WITHDRAW = "withdraw"


MOVES: Mapping[ReleaseState, Mapping[Move, ReleaseState]] = MappingProxyType({
    DRAFT: {Move.REVISE: DRAFT, Move.SCHEDULE: SCHEDULED, Move.PUBLISH: PUBLISHED},
    SCHEDULED: {
        Move.REVISE: SCHEDULED, Move.SCHEDULE: SCHEDULED, Move.UNSCHEDULE: DRAFT, Move.PUBLISH: PUBLISHED,
    },
    PUBLISHED: {Move.REVISE: CORRECTED, Move.WITHDRAW: WITHDRAWN},
    CORRECTED: {Move.REVISE: CORRECTED, Move.WITHDRAW: WITHDRAWN},
    WITHDRAWN: {},
})
"""What may follow each state, and where it leads. What isn't here is refused."""

# Accepted for the public; whether readers see it yet is another matter.
PUBLIC = frozenset({PUBLISHED, CORRECTED})


class IllegalMove(Conflict):
    """``state`` is what the release is, ``move`` what was asked for, ``allowed`` what can be done now."""

    code = "illegal_move"


def next_state(state: ReleaseState, move: Move) -> ReleaseState:
    """Where the move leads. Raises IllegalMove."""
    moves = MOVES[state]
    if move not in moves:
        raise IllegalMove(state=state.value, move=move.value, allowed=[allowed.value for allowed in moves])
    return moves[move]
