"""A request's greenlets, and the chain that its end waited for: it covers the request's time exactly."""

from __future__ import annotations

from typing import NamedTuple

from hypothesis import given

from greenscope.trace.analysis import State
from greenscope.trace.analysis.critical_path import ENDED, UNKNOWN, UNSTARTED, critical_path
from greenscope.trace.analysis.request_tree import Tree, tree_of
from greenscope.trace.analysis.requests import Request
from greenscope.trace.events import Exit, Kind, Ready, Wait
from greenscope.trace.records import Event
from tests.trace.analysis.scheduled import Program, drawn
from tests.trace.analysis.test_requests import CHOICES, Read, read


class Piece(NamedTuple):
    greenlet: int
    ns: int
    state: int
    reason: int


def looked_at(found: Read, request: Request) -> tuple[Tree, list[Piece]]:
    """A request's greenlets and its path; the pieces are held to cover its time."""
    tree = tree_of(found.timeline, request.greenlet, request.start, request.until)
    path = critical_path(tree, request.ended_by)
    at = request.start
    for piece in path:
        assert piece["start"] == at
        assert piece["end"] > at
        at = int(piece["end"])
    assert at == request.until
    columns = (path["greenlet"], path["end"] - path["start"], path["state"], path["reason"])
    return tree, [Piece(*values) for values in zip(*(column.tolist() for column in columns), strict=True)]


def path_of(program: Program) -> list[Piece]:
    """The path of its first request."""
    found = read(program)
    return looked_at(found, found.all()[0])[1]


def served(program: Program) -> int:
    """A greenlet that begins a request: the request's number; from here on nothing takes time by itself."""
    program.spawn()
    program.park(Wait.JOIN)
    program.run(3)
    program.step = 0
    return program.begin_request()


def test_a_wait_for_nobody_of_the_request_is_on_the_path() -> None:
    program = Program()
    number = served(program)
    program.now += 5
    program.park(Wait.READ)
    program.now += 100
    program.wake(3)
    program.now += 20
    program.run(3)
    program.now += 3
    program.end_request(number)
    assert path_of(program) == [
        Piece(3, 5, State.RUNNING, 0),
        Piece(3, 100, State.WAITING, Wait.READ),
        Piece(3, 20, State.READY, Ready.WATCHER),
        Piece(3, 3, State.RUNNING, 0),
    ]


def test_where_another_ended_the_wait_its_own_time_is_the_path() -> None:
    program = Program()
    number = served(program)
    program.now += 5
    slow, fast = program.spawn(), program.spawn()
    program.now += 1
    program.park(Wait.JOIN)
    program.now += 2
    program.run(slow)
    program.now += 10
    program.park(Wait.TIMER)
    program.run(fast)
    program.now += 4
    program.park(Wait.TIMER)
    program.now += 30
    program.wake(fast)
    program.run(fast)
    program.end()
    program.now += 50
    program.wake(slow)
    program.run(slow)
    program.now += 7
    program.wake(3)
    program.end()
    program.run(3)
    program.end_request(number)
    assert path_of(program) == [
        Piece(3, 5, State.RUNNING, 0),  # until it spawned the slow one
        Piece(slow, 3, State.READY, Ready.SPAWN),
        Piece(slow, 10, State.RUNNING, 0),
        Piece(slow, 84, State.WAITING, Wait.TIMER),
        Piece(slow, 7, State.RUNNING, 0),
    ]


def test_who_woke_it_after_it_had_ended_has_the_path_until_then() -> None:
    program = Program()
    number = served(program)
    child = program.spawn()
    program.park(Wait.JOIN)
    program.run(child)
    program.now += 10
    program.end()
    program.now += 2
    program.running = child  # the order in which another runtime may say it
    program.wake(3)
    program.running = 0
    program.run(3)
    program.end_request(number)
    assert path_of(program) == [Piece(child, 10, State.RUNNING, 0), Piece(3, 2, State.WAITING, Wait.JOIN)]


def test_where_nobody_is_said_to_have_ended_a_wait_for_ends_the_last_of_its_children_did() -> None:
    program = Program()
    number = served(program)
    first, last, stranger = program.spawn(), program.spawn(), program.spawn()
    program.park(Wait.JOIN)
    program.run(last)
    program.park(Wait.TIMER)
    program.run(stranger)
    program.park(Wait.TIMER)
    program.run(first)
    program.now += 10
    program.end()
    program.now += 20
    program.wake(last)
    program.run(last)
    program.end()
    program.now += 3
    program.wake(3, Ready.OTHER)
    program.run(3)
    program.end_request(number)
    assert path_of(program) == [Piece(last, 30, State.WAITING, Wait.TIMER), Piece(3, 3, State.WAITING, Wait.JOIN)]


def test_who_is_not_of_the_request_does_not_take_the_path() -> None:
    program = Program()
    stranger = program.spawn()
    program.spawn()
    program.park(Wait.JOIN)
    program.run(4)
    number = program.begin_request()
    program.park(Wait.LOCK)
    program.run(stranger)
    program.wake(4)
    program.park(Wait.TIMER)
    program.run(4)
    program.end_request(number)
    assert {piece.greenlet for piece in path_of(program)} == {4}


def test_one_that_is_started_later_was_waited_for_before_it_was_ready() -> None:
    program = Program()
    number = served(program)
    program.now += 1
    later = program.spawn(start=False)
    program.park(Wait.JOIN)
    program.now += 40
    program.unstarted.remove(later)
    program.ready.append(later)
    program.say(later, Kind.GREENLET_READY, Ready.WATCHER, arg=9)
    program.run(later)
    program.now += 3
    program.wake(3)
    program.end()
    program.run(3)
    program.end_request(number)
    assert path_of(program) == [
        Piece(3, 1, State.RUNNING, 0), Piece(later, 40, UNSTARTED, 0), Piece(later, 3, State.RUNNING, 0)
    ]  # fmt: skip


def test_whoever_ends_a_request_is_where_its_path_is_found() -> None:
    program = Program()
    number = served(program)
    child = program.spawn()
    program.now += 1
    program.end()  # the one that began it
    program.now += 2
    program.run(child)
    program.now += 30
    program.end_request(number)
    assert path_of(program) == [Piece(child, 3, State.READY, Ready.SPAWN), Piece(child, 30, State.RUNNING, 0)]


def test_after_its_greenlet_ended_nobody_is_known_to_go_on() -> None:
    program = Program()
    number = served(program)
    program.now += 1
    program.end()
    program.now += 20
    program.wake(2)
    program.run(2)
    program.end_request(number)
    assert path_of(program) == [Piece(3, 1, State.RUNNING, 0), Piece(3, 20, ENDED, 0)]


def test_two_that_wake_each_other_in_one_moment_do_not_hold_up_the_walk() -> None:
    program = Program()
    number = served(program)
    program.now += 1
    child = program.spawn()
    program.now += 1
    program.park(Wait.EVENT)
    program.run(child)
    program.now += 1
    program.wake(3)
    program.park(Wait.EVENT)
    program.run(3)
    program.wake(child)
    program.park(Wait.EVENT)
    program.run(child)
    program.wake(3)
    program.park(Wait.EVENT)
    program.run(3)
    program.end_request(number)
    assert sum(piece.ns for piece in path_of(program)) == 3


def test_those_that_are_spawned_for_it_are_its_own_with_all_of_theirs() -> None:
    program = Program()
    before = program.spawn()
    first = program.begin_request("first")
    child = program.spawn()
    program.end_request(first)
    between = program.spawn()
    second = program.begin_request("second")
    other = program.spawn()
    program.park(Wait.JOIN)
    program.run(child)
    of_child = program.spawn()  # after its request
    program.park(Wait.TIMER)
    program.run(other)
    of_other = program.spawn()
    program.end()
    program.wake(2)
    program.run(2)
    sibling = program.spawn()
    program.end_request(second)
    found = read(program)
    one, two = found.all()
    assert (one.number, two.number) == (first, second)
    of_one, of_two = (looked_at(found, each)[0] for each in (one, two))
    assert [member.greenlet for member in of_one.members] == [2, child]
    assert [(member.greenlet, member.depth) for member in of_two.members] == [
        (2, 0),
        (other, 1),
        (of_other, 2),
        (sibling, 1),
    ]
    assert {before, between, of_child}.isdisjoint(of_two.spans)
    ended = {member.greenlet: member.ended_at for member in of_two.members}
    assert ended[other] > 0
    assert ended[of_other] == 0  # lives on
    assert (of_two.total, of_two.complete) == (4, True)
    assert all(
        (spans["start"] >= two.start).all() and (spans["end"] <= two.end).all() for spans in of_two.spans.values()
    )


def test_of_what_was_overwritten_the_path_says_that_nothing_is_known() -> None:
    found = Read()
    program = Program()
    number = served(program)
    program.now += 5
    program.park(Wait.READ)
    found.take(program.events)
    at = program.now
    found.take(
        [Event(at + 100, 3, Kind.GREENLET_SWITCH), Event(at + 130, 3, Kind.REQUEST_END, Exit.RETURNED, arg=number)], 7
    )
    tree, path = looked_at(found, found.all()[0])
    assert not tree.complete
    assert path == [Piece(3, 5, State.RUNNING, 0), Piece(3, 100, UNKNOWN, 0), Piece(3, 30, State.RUNNING, 0)]


def test_what_was_overwritten_until_the_last_moment_is_not_known_either() -> None:
    found, program = Read(), Program()
    number = served(program)
    child = program.spawn()
    program.now += 5
    program.say(3, Kind.MARK)
    found.take(program.events)
    at = program.now + 100
    found.take([Event(at, child, Kind.GREENLET_SWITCH), Event(at, child, Kind.REQUEST_END, arg=number)], 7)
    _, path = looked_at(found, found.all()[0])
    assert path == [Piece(child, 5, State.READY, Ready.SPAWN), Piece(child, 100, UNKNOWN, 0)]


@given(CHOICES)
def test_the_path_covers_exactly_the_time_of_the_request(choices: list[tuple[int, int]]) -> None:
    program = drawn(choices)
    found = read(program)
    for request in found.all(program.now + 100):
        tree, path = looked_at(found, request)
        assert {piece.greenlet for piece in path} <= {member.greenlet for member in tree.members}
        assert all(piece.state != UNKNOWN for piece in path)
        parents = {member.greenlet: member.parent for member in tree.members}
        assert all(parent == 0 or parent in parents for parent in parents.values())
        assert len(parents) == len(tree.members) == tree.total


@given(CHOICES, CHOICES)
def test_nor_does_it_leave_anything_out_where_events_were_lost(
    before: list[tuple[int, int]], after: list[tuple[int, int]]
) -> None:
    program = drawn(before + after)
    cut = len(drawn(before).events)
    found = Read()
    found.take(program.events[: cut // 2])
    found.take(program.events[cut:], lost=cut - cut // 2)
    for request in found.all(program.now + 100):
        looked_at(found, request)
