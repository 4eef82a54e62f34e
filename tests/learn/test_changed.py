"""A program that was changed gives other answers: nothing of a lesson is known before the run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from greenscope.learn import LESSONS, Run, as_json
from tests.learn.recorded import answers

BY_NAME = {lesson.name: lesson for lesson in LESSONS}


def changed(name: str, old: str, new: str) -> str:
    """A lesson's program in which something is otherwise."""
    text = BY_NAME[name].program.read_text()
    assert old in text
    return text.replace(old, new)


CHANGES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "sleep": ("sleep(0.2)\n", "sleep(0.05)\nsleep(0.05)\n", {"blocked": 2}),
    "recv": (
        'there.sendall(b"helloworld")',
        'there.sendall(b"hello")\n    sleep(0.05)\n    there.sendall(b"world")',
        {"waits": 2},
    ),
    "turns": ("[spawn(ping), spawn(pong)]", "[spawn(pong), spawn(ping)]", {"first": "pong #3", "count": 4}),
    "timeout": ("(0.05, 1)", "(0.03, 0.03, 1)", {"raised": 2}),
    "close": ("closer", "janitor", {"who": "janitor #4"}),
    "deadlock": ("spawn(ben)]", "spawn(ben), spawn(ben)]", {"count": 4}),
    "fairness": ("range(3)", "range(2)", {"woken": 2}),
    "threadpool": ("(0.2,)", "(0,)", {"ticks": 0}),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_is_right_follows_the_run(name: str, runs: dict[str, Run], run_of: Callable[..., Run]):
    old, new, right = CHANGES[name]
    found = answers(BY_NAME[name], run_of(changed(name, old, new)))
    assert {key: found[key] for key in right} == right
    was = answers(BY_NAME[name], runs[name])
    assert any(was[key] != found[key] for key in right)


def test_a_larger_buffer_takes_more_bytes(runs: dict[str, Run], run_of: Callable[..., Run]):
    run = run_of(changed("send", "50_000", "80_000"))
    assert answers(BY_NAME["send"], run)["bytes"] > answers(BY_NAME["send"], runs["send"])["bytes"]


def test_a_hog_that_gives_way_lets_the_ticker_run_in_time(run_of: Callable[..., Run]):
    run = run_of(changed("hog", "        pass\n", "        sleep(0.001)\n"))
    right = answers(BY_NAME["hog"], run)
    assert right["ticks"] > 0
    assert right["late"] != "More than 100 ms"


def test_locks_that_are_taken_in_one_order_leave_nothing_to_tell_of_a_deadlock(run_of: Callable[..., Run]):
    text = BY_NAME["deadlock"].program.read_text()
    head, ben = text.split("def ben():")
    swapped = ben.replace("with paper", "with PEN").replace("with pen", "with paper").replace("with PEN", "with pen")
    run = run_of(f"{head}def ben():{swapped}")
    told = as_json(BY_NAME["deadlock"], run, "en")
    assert [one["step"] for one in told["passages"][-3:]] == [None, None, None]
    assert told["questions"] == []
