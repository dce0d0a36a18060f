"""What is drawn on request has its bounds, and what is refused is refused alone."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from service.drawing import DrawingRoom, Overloaded


def test_one_path_takes_no_more_than_its_share() -> None:
    room = DrawingRoom(most=3, most_of_one=2)
    with room.draw("/a"), room.draw("/a"):
        with pytest.raises(Overloaded) as refused, room.draw("/a"):
            pass
        assert refused.value.params == {"path": "/a"}
        with room.draw("/b"):
            pass


def test_all_paths_together_take_no_more_than_the_room_holds() -> None:
    room = DrawingRoom(most=3, most_of_one=2)
    with ExitStack() as drawn:
        for path in ("/a", "/b", "/c"):
            drawn.enter_context(room.draw(path))
        with pytest.raises(Overloaded), room.draw("/d"):
            pass
    with room.draw("/d"):
        pass


def test_a_place_is_free_again_also_after_a_failure() -> None:
    room = DrawingRoom(most=1, most_of_one=1)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), room.draw("/a"):
            raise ZeroDivisionError
    with room.draw("/a"):
        pass
