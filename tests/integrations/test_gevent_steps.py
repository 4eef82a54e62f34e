"""A gevent program as it is, under ``greenscope record --gevent``: what each of its greenlets did is in the ring."""

from __future__ import annotations

from pathlib import Path

import pytest

from greenscope.trace.events import Kind
from tests.integrations.gevent_help import Recording, read, run_gevent

HERE = Path(__file__).parent
PROGRAM = (HERE / "gevent_steps.py").read_text()


def line(text: str) -> str:
    """``FILE:LINE`` of the line of the program that says ``# line: text``."""
    number = next(n for n, words in enumerate(PROGRAM.splitlines(), 1) if words.endswith(f"# line: {text}"))
    return f"steps.py:{number}"


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    program = tmp_path_factory.mktemp("steps") / "steps.py"
    program.write_text(PROGRAM)
    done, output = run_gevent(program)
    assert done.returncode == 0, done.stderr
    return read(output)


def parked_at(steps: Recording, name: str, reason: int) -> set[str]:
    return {
        steps.lines.get(place, "")
        for place, event in enumerate(steps.events)
        if event.kind == Kind.GREENLET_PARK and event.reason == reason and steps.names.get(event.greenlet) == name
    }


def test_a_sleep_is_a_timer_that_fires_and_is_closed(steps: Recording) -> None:
    assert steps.of("sleeps") == [
        "spawn",
        "name",
        "ready spawn",
        "switch",
        "watcher_open timer",
        "watcher_start timer",
        "park timer",
        "watcher_fire timer",
        "ready watcher",
        "switch",
        "watcher_stop timer",
        "watcher_close timer",
        "exit returned",
    ]
    assert parked_at(steps, "sleeps", 3) == {line("sleeps")}


def test_a_sleep_of_no_time_gives_way(steps: Recording) -> None:
    assert steps.of("gives_way")[3:] == ["switch", "park yield", "ready yield", "switch", "exit returned"]


def test_how_a_greenlet_ends_is_told(steps: Recording) -> None:
    assert steps.of("raises")[-1] == "exit raised"
    assert steps.of("is_killed")[-1] == "exit killed"


def test_one_that_is_killed_before_it_runs_has_ended(steps: Recording) -> None:
    assert steps.of("never_runs") == ["spawn", "name", "ready spawn", "exit killed"]


def test_a_timeout_that_is_over_is_raised_in_its_greenlet(steps: Recording) -> None:
    did = steps.of("is_timed_out")
    assert did[4] == "timeout_start"
    assert did[7:12] == ["park timer", "timeout_fire", "ready timeout", "throw", "watcher_stop timer"]
    (park,) = steps.find(Kind.GREENLET_PARK, "is_timed_out")
    assert 0 < park.arg >> 32 <= 10  # milliseconds


def test_a_timeout_that_is_not_needed_is_cancelled(steps: Recording) -> None:
    assert "timeout_cancel" in steps.of("is_in_time")
    assert "timeout_fire" not in steps.of("is_in_time")


def test_a_socket_waits_with_its_descriptor_and_its_peer(steps: Recording) -> None:
    for name in ("talks", "echo"):
        did = steps.of(name)
        assert did.count("watcher_fire read") >= 1
        assert did.count("park read") == did.count("watcher_start read") == did.count("watcher_stop read")
    opened = steps.find(Kind.WATCHER_OPEN, "talks")
    assert any((event.text or "").startswith("127.0.0.1:") for event in opened)
    assert parked_at(steps, "talks", 1) == {line("talks")}


def test_what_the_loop_saw_was_ready_before_it_ran(steps: Recording) -> None:
    by_greenlet: dict[int, int] = {}
    for event in steps.events:
        if event.kind in {Kind.GREENLET_PARK, Kind.GREENLET_READY, Kind.GREENLET_SWITCH}:
            assert event.time_ns >= by_greenlet.get(event.greenlet, 0)
            by_greenlet[event.greenlet] = event.time_ns
    ends = {event.time_ns for event in steps.events if event.kind == Kind.POLL_END}
    fired = [event for event in steps.events if event.kind == Kind.WATCHER_FIRE]
    assert fired
    assert {event.time_ns for event in fired} <= ends


def test_the_poll_is_told_from_its_beginning_to_its_end(steps: Recording) -> None:
    polls = [event.kind for event in steps.events if event.kind in {Kind.POLL_BEGIN, Kind.POLL_END}]
    assert polls[:-1:2] == [Kind.POLL_BEGIN] * len(polls[:-1:2])
    assert polls[1::2] == [Kind.POLL_END] * len(polls[1::2])


def test_greenlets_are_called_after_their_functions_or_by_their_names(steps: Recording) -> None:
    assert {"hub", "main", "sleeps", "echo", "by its name", "raw greenlet"} <= set(steps.names.values())


def test_every_greenlet_but_main_and_the_hub_has_ended(steps: Recording) -> None:
    spawned = {event.greenlet for event in steps.events if event.kind == Kind.GREENLET_SPAWN}
    ended = {event.greenlet for event in steps.events if event.kind == Kind.GREENLET_EXIT}
    assert {steps.names[number] for number in spawned - ended} == {"hub", "main"}
