"""A lesson about any program: the first of each idea that occurs in its run, and questions that this run answers."""

from __future__ import annotations

import re
from collections.abc import Callable

from greenscope.learn import Run, as_json, own_lesson
from greenscope.learn.own import every_passage
from tests.learn.recorded import answers

EVERYTHING = """
import time
from greenscope.runtime import Event, Lock, Timeout, get_hub, joinall, kill, sleep, spawn
from greenscope.runtime.socket import socketpair

here, there = socketpair()
full, unread = socketpair()
lock, bell = Lock(), Event()

def reader():
    here.recv(5)
    here.recv(5)
    try:
        here.recv(5)
    except OSError:
        pass
    raise ValueError("as it should")

def writer():
    there.sendall(b"helloworld")
    full.sendall(b"x" * 4_000_000)

def holder():
    with lock:
        sleep(0.01)
        bell.set()

def wanting():
    with lock:
        bell.wait()

def hurried():
    with Timeout(0.01, False):
        sleep(1)
    with Timeout(1):
        sleep(0)

def busy():
    sleep(0.001)
    time.sleep(0.1)

def waiting():
    sleep(60)

one = [spawn(each) for each in (reader, writer, holder, wanting, hurried)]
get_hub().threadpool.apply(time.sleep, (0.001,))
timer = get_hub().loop.timer(0.001)
timer.start(lambda: None)
spawn(busy).join()
here.close()
last = spawn(waiting)
sleep(0)
kill(last)
one[0].join()
unread.close()
sleep(0.01)
Event().wait()
"""


def test_each_idea_that_occurs_is_told_at_its_first_step_in_order(run_of: Callable[..., Run]):
    run = run_of(EVERYTHING)
    lesson = own_lesson(run, "everything.py")
    told = as_json(lesson, run, "en")
    assert told["title"] == "everything.py, step by step"
    assert f"of {len(run)} steps" in told["summary"]
    steps = [one["step"] for one in told["passages"]]
    assert None not in steps
    assert steps == sorted(steps)
    assert {one.key for one in every_passage} - {one.key for one in lesson.passages} == {"lost"}
    for language in ("en", "zh"):
        for one in as_json(lesson, run, language)["passages"]:
            assert not re.search(r"[{}]|not recorded|没有记录", one["words"]), one["words"]


def test_three_questions_are_asked_one_of_each_kind(run_of: Callable[..., Run]):
    run = run_of(EVERYTHING)
    told = as_json(own_lesson(run, "everything.py"), run, "en")
    assert [one["kind"] for one in told["questions"]] == ["number", "choice", "step"]
    for one in told["questions"]:
        assert 0 <= one["step"] < len(run)


def test_a_small_program_has_a_small_lesson(run_of: Callable[..., Run]):
    run = run_of("from greenscope.runtime import sleep\nsleep(0.01)\n")
    lesson = own_lesson(run, "small.py")
    assert [one.key for one in lesson.passages] == [
        "begins",
        "parked",
        "timer",
        "blocks",
        "fired",
        "begun",
        "back",
        "remember",
    ]
    assert answers(lesson, run)["blocked"] == 1
    assert 1 <= len(lesson.questions) <= 3


def test_nobody_is_asked_to_count_to_a_thousand(run_of: Callable[..., Run]):
    run = run_of("from greenscope.runtime import sleep\nfor _ in range(1000):\n    sleep(0)\n")
    assert all(
        one["answer"] <= 20
        for one in as_json(own_lesson(run, "a.py"), run, "en")["questions"]
        if one["kind"] == "number"
    )


def test_where_the_beginning_was_lost_that_is_said_and_the_rest_is_told(run_of: Callable[..., Run]):
    text = "from greenscope.runtime import sleep\nfor _ in range(30_000):\n    sleep(0)\nsleep(0.01)\n"
    run = run_of(text, GREENSCOPE_RING_MB="1")
    lesson = own_lesson(run, "long.py")
    keys = [one.key for one in lesson.passages]
    assert keys[0] in ("lost", "begins")
    assert {"lost", "yields", "timer", "blocks", "remember"} <= set(keys)
    for language in ("en", "zh"):
        assert as_json(lesson, run, language)["passages"][keys.index("lost")]["step"] == 0
