"""What is drawn on request has its bounds, and what is refused is refused alone."""

from __future__ import annotations

import pytest

from service.drawing import DrawingRoom, Overloaded


def test_one_feed_takes_no_more_than_its_share() -> None:
    room = DrawingRoom(most=3, most_of_one=2)
    with room.draw("zh"), room.draw("zh"):
        with pytest.raises(Overloaded), room.draw("zh"):
            pass
        with room.draw("en"):
            pass


def test_in_a_full_room_a_feed_has_a_second_place_no_more_and_a_first_one_still() -> None:
    room = DrawingRoom(most=3, most_of_one=2)
    with room.draw("zh"), room.draw("zh"), room.draw("en"):
        with pytest.raises(Overloaded), room.draw("en"):
            pass
        with room.draw("fr"):
            pass
    with room.draw("en"), room.draw("en"):
        pass


def test_names_that_callers_made_up_are_not_kept() -> None:
    room = DrawingRoom()
    with room.draw("en/none"), room.draw("en/none"):
        pass
    assert not room._drawn


def test_many_feeds_that_are_drawn_once_each_leave_threads_free() -> None:
    room = DrawingRoom(most=1, most_of_one=1, most_ever=3)
    with room.draw("en"), room.draw("en/visits"), room.draw("en/events"), pytest.raises(Overloaded), room.draw("zh"):
        pass
    with room.draw("zh"):
        pass


def test_a_place_is_free_again_also_after_a_failure() -> None:
    room = DrawingRoom(most=1, most_of_one=1)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), room.draw("zh"):
            raise ZeroDivisionError
    with room.draw("zh"):
        pass
