"""The C ring keeps and loses no references: every method, well called and badly, thousands of times."""

from __future__ import annotations

import gc
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from greenscope.trace import _ring
from tests.trace.rings import RingSizes, begin, new_ring

NUMBER = 1 << 40  # an object of its own, and not one of the interpreter's small ones
PEER = b"a peer's address " * 9
TEXT = "a text that the program gave, and that is in the ring once " * 3
PLENTY = RingSizes(events=1024, slots=64, sites=64, string_bytes=1 << 14)

# What each method is well called with; a handle is the first greenlet's.
CODE = compile("1", "code", "eval")
CALLS: dict[str, tuple[Any, ...]] = {
    "acquire": (NUMBER, 1, 0, NUMBER, NUMBER),
    "awaits": (NUMBER, NUMBER, NUMBER),
    "callback_begin": (1, NUMBER, TEXT),
    "callback_end": (1,),
    "detach": (),
    "exit": (NUMBER, 0),
    "figures": (NUMBER, NUMBER, NUMBER, NUMBER),
    "fire": (NUMBER, 1, NUMBER, NUMBER),
    "give_way": (NUMBER, NUMBER),
    "idles_in": (CODE,),
    "job_end": (NUMBER, 0, NUMBER),
    "job_put": (1, NUMBER, TEXT, PEER),
    "loop_exit": (NUMBER, NUMBER),
    "mark": (PEER,),
    "on_stall_over": (),
    "op_begin": (1, 0, NUMBER, NUMBER),
    "op_end": (1, 0, NUMBER, PEER),
    "park": (1, NUMBER, NUMBER, NUMBER, PEER),
    "park_there": (1, 1, NUMBER, NUMBER, NUMBER),
    "poll_begin": (1,),
    "poll_end": (NUMBER,),
    "ready": (NUMBER, 1, NUMBER),
    "release": (1, NUMBER, NUMBER),
    "rename": (NUMBER, 0, 1),
    "request_begin": (PEER,),
    "request_end": (NUMBER, 200, 0, TEXT),
    "resource": (),
    "set_detail": (2,),
    "site": (CODE, 0),
    "span_begin": (TEXT,),
    "span_end": (NUMBER, 0, TEXT),
    "spawn": (0, 0, 1, NUMBER),
    "string": (TEXT,),
    "switch": (NUMBER,),
    "throw": (NUMBER,),
    "timeout_cancel": (1, NUMBER),
    "timeout_fire": (NUMBER, 1, NUMBER),
    "timeout_start": (1, NUMBER),
    "wait": (1, NUMBER, NUMBER, NUMBER, PEER),
    "watch": (None,),
    "watcher_close": (1, NUMBER, NUMBER),
    "watcher_fire": (1, NUMBER, NUMBER),
    "watcher_open": (1, NUMBER, PEER),
    "watcher_refuse": (1, NUMBER, NUMBER, NUMBER, PEER),
    "watcher_start": (1, NUMBER, NUMBER),
    "watcher_stop": (1, NUMBER, NUMBER),
}
ROUNDS = 2000


def methods() -> list[str]:
    return [name for name in dir(_ring.Ring) if not name.startswith("_") and callable(getattr(_ring.Ring, name))]


def test_every_method_of_the_ring_is_here() -> None:
    assert sorted(CALLS) == methods()


def growth(act: Callable[[], object], rounds: int = ROUNDS) -> int:
    """By how many objects, and in a debug build references, the interpreter has grown: the least of three tries."""
    counts = getattr(sys, "gettotalrefcount", sys.getallocatedblocks)
    for _ in range(100):
        act()
    least = rounds
    for _ in range(3):
        gc.collect()
        before = counts()
        for _ in range(rounds):
            act()
        gc.collect()
        least = min(least, counts() - before)
    return least


def given(name: str) -> list[Any]:
    """The objects that a method is called with, and whose references can be counted."""
    return [NUMBER, PEER, TEXT, getattr(_ring.Ring, name)]


@pytest.mark.parametrize("name", sorted(CALLS))
def test_a_good_call_keeps_and_loses_no_reference(name: str) -> None:
    ring, _ = new_ring("c", sizes=PLENTY)
    begin(ring)
    method = getattr(ring, name)
    args = CALLS[name]
    method(*args)  # the first is remembered: a string, a call site
    references = [sys.getrefcount(thing) for thing in given(name)]
    assert growth(lambda: method(*args)) < ROUNDS // 20
    assert [sys.getrefcount(thing) for thing in given(name)] == references


@pytest.mark.parametrize("name", sorted(set(CALLS) - {"detach", "on_stall_over", "resource", "watch"}))
def test_a_bad_call_raises_and_keeps_and_loses_no_reference(name: str) -> None:
    ring, _ = new_ring("c", sizes=PLENTY)
    begin(ring)
    method = getattr(ring, name)
    args = CALLS[name]
    wrong = object()
    bad = [args[:-1], (*args, NUMBER), *((*args[:i], wrong, *args[i + 1 :]) for i in range(len(args)))]
    references = [sys.getrefcount(thing) for thing in (wrong, *given(name))]

    def call() -> None:
        for arguments in bad:
            try:
                method(*arguments)
            except TypeError:
                continue
            raise AssertionError(f"{name}{arguments} was taken")

    assert growth(call, ROUNDS // 4) < ROUNDS // 20
    assert [sys.getrefcount(thing) for thing in (wrong, *given(name))] == references


def test_rings_come_and_go_and_leave_nothing() -> None:
    def live() -> None:
        ring, file = new_ring("c")
        _, main = begin(ring)
        ring.park(1, 2, 3, 4, PEER)
        ring.exit(main, 0)
        assert ring.current >= 0
        ring.detach()
        file.release()

    assert growth(live, 200) < 20


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        (b"read-only", (), (), -1),
        (bytearray(10), (), (), -1),
        (bytearray(8192), (), (), -1),
        (bytearray(8192), (1,), (), -1),
        (bytearray(8192), (), ("x", 2), -1),
        (bytearray(8192), [], (), -1),
        (bytearray(8192), (), (), "x"),
        (object(), (), (), -1),
    ],
)
def test_a_ring_that_cannot_be_made_leaves_nothing(arguments: tuple[Any, ...]) -> None:
    references = [sys.getrefcount(thing) for thing in arguments]

    def make() -> None:
        try:
            _ring.Ring(*arguments)
        except (TypeError, ValueError, BufferError):
            return
        raise AssertionError("it was made")

    assert growth(make, 500) < 50
    assert [sys.getrefcount(thing) for thing in arguments] == references


def test_a_clock_that_is_no_number_is_refused_and_leaves_nothing() -> None:
    ring, _ = new_ring("c")

    def refuse() -> None:
        for wrong in ("x", -1, 1 << 64):
            try:
                ring.clock_ns = wrong  # type: ignore[assignment]
            except (TypeError, ValueError, OverflowError):
                continue
            raise AssertionError(f"{wrong!r} was taken")

    assert growth(refuse, 500) < 50


def test_call_sites_are_remembered_once_each_and_let_go_of_with_the_ring() -> None:
    code = compile("ring.park(0, 0, -1, 0, b'')", "<site>", "exec")
    references = sys.getrefcount(code)
    ring, _ = new_ring("c", sizes=PLENTY)
    begin(ring)
    for _ in range(100):
        exec(code, {"ring": ring})
    assert sys.getrefcount(code) <= references + 4  # not a hundred
    del ring
    gc.collect()
    assert sys.getrefcount(code) == references


ASKED = """
import gc, os, sys
from pathlib import Path
from greenscope import runtime
from greenscope.trace.recorder import trace_directory
from greenscope.trace.stacks import stacks_of

for _ in range(50):
    runtime.spawn(runtime.sleep, 1000)

def ask(times):
    for _ in range(times):
        assert len(stacks_of(trace_directory(), os.getpid()).parked) >= 50
    gc.collect()
    return getattr(sys, "gettotalrefcount", sys.getallocatedblocks)()

def work():
    before = ask(50)
    return min(ask(100) - before for _ in range(3))

print(runtime.get_hub().threadpool.apply(work))
"""


def test_a_process_that_is_asked_for_its_stacks_again_and_again_does_not_grow() -> None:
    done = subprocess.run([sys.executable, "-c", ASKED], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 100 * 50 // 20
