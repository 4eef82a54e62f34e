"""The graph of waits: made of the greenlet table, and silent about what it does not know."""

from __future__ import annotations

from typing import Any

from greenscope.trace.analysis.holders import awaited, circles
from greenscope.trace.analysis.model import Model
from greenscope.trace.events import Wait
from greenscope.trace.records import GreenletSlot, Site


class NoNumbers:
    def string(self, _number: int) -> str:
        return ""

    def site(self, _number: int) -> Site | None:
        return None

    def stack(self, _number: int) -> list[Site]:
        return []


def waits(greenlet: int, reason: Wait, resource: int, awaits: int, since: int = 0, deadline: int = 0) -> GreenletSlot:
    return GreenletSlot(
        greenlet, "g", True, 1, 0, "waiting", reason, since, resource, None, "", deadline, 0, 0, 0, 1, awaits
    )


def model(*slots: GreenletSlot) -> Model:
    made = Model(0, NoNumbers())
    made.look(slots, 1000, "live")
    return made


def found(*slots: GreenletSlot) -> list[list[int]]:
    return [[slot.greenlet for slot in circle] for circle in circles(model(*slots), 100)]


def test_two_that_hold_what_the_other_wants_are_a_circle_that_the_later_one_closed():
    assert found(waits(3, Wait.LOCK, 7, 4, since=10), waits(4, Wait.LOCK, 8, 3, since=20)) == [[4, 3]]


def test_one_that_waits_for_itself_is_a_circle():
    assert found(waits(3, Wait.LOCK, 7, 3)) == [[3]]


def test_locks_and_ends_make_circles_together_and_who_waits_behind_is_outside():
    ends = waits(3, Wait.JOIN, 0, 4), waits(4, Wait.LOCK, 8, 5), waits(5, Wait.LOCK, 9, 3, since=5)
    assert found(waits(6, Wait.LOCK, 8, 5, since=1), *ends, waits(7, Wait.JOIN, 0, 6)) == [[5, 3, 4]]


def test_a_wait_that_has_a_deadline_ends():
    assert found(waits(3, Wait.LOCK, 7, 4), waits(4, Wait.LOCK, 8, 3, deadline=2000)) == []


def test_what_has_only_begun_may_be_over_in_a_moment():
    assert found(waits(3, Wait.LOCK, 7, 4), waits(4, Wait.LOCK, 8, 3, since=950)) == []


def test_who_has_waited_longest_knows_who_holds_it():
    slots: list[Any] = [waits(3, Wait.LOCK, 7, 9, since=1), waits(4, Wait.LOCK, 7, 8, since=2)]
    assert awaited(model(*slots)) == {3: 9, 4: 9}


def test_nobody_is_guessed_where_the_first_does_not_know():
    assert awaited(model(waits(3, Wait.LOCK, 7, 0, since=1), waits(4, Wait.LOCK, 7, 8, since=2))) == {}
