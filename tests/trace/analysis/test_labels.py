"""Labels: why somebody is ready, what kind of a thing an event is about."""

from __future__ import annotations

import pytest

from greenscope.trace.analysis.narrate import LANGUAGES
from greenscope.trace.analysis.narrate.labels import kind_of, reason_of, why_ready
from greenscope.trace.events import EVENT_KINDS, Kind, Op, Ready, Wait, Watch, pack
from tests.trace.analysis.replayed import PARK, SWITCH
from tests.trace.analysis.stories import MAIN, OTHER, WORKER, Told, event

OPENS = [event(Kind.WATCHER_OPEN, reason=watch, arg=pack(20 + watch, 5), text="10.0.0.1:80") for watch in Watch]
# fmt: off
WHYS = [
    ("why.read", Ready.WATCHER, 20 + Watch.READ, "fd 5 (10.0.0.1:80) can be read"),
    ("why.write", Ready.WATCHER, 20 + Watch.WRITE, "fd 5 (10.0.0.1:80) can be written to"),
    ("why.timer", Ready.WATCHER, 20 + Watch.TIMER, "its timer is due"),
    ("why.signal", Ready.WATCHER, 20 + Watch.SIGNAL, "its signal came"),
    ("why.child", Ready.WATCHER, 20 + Watch.CHILD, "its child process ended"),
    ("why.fired", Ready.WATCHER, 20 + Watch.ASYNC, "its watcher fired"),
    ("why.fired", Ready.WATCHER, 99, "its watcher fired"),
    ("why.timeout", Ready.TIMEOUT, 8, "its timeout is over"),
    ("why.woken", Ready.GREENLET, OTHER, "woken by worker-1"),
    ("why.woken", Ready.GREENLET, 1, "woken by the hub"),
    ("why.started", Ready.SPAWN, MAIN, "started by main"),
    ("why.killed", Ready.KILL, OTHER, "killed by worker-1"),
    ("why.closed", Ready.CLOSE, OTHER, "worker-1 closed what it waited on"),
    ("why.gave_way", Ready.YIELD, WORKER, "it gave way"),
    ("why.other", Ready.OTHER, 0, "woken, by whom was not recorded"),
    ("why.other", Ready.KILL, 0, "woken, by whom was not recorded"),
    ("why.other", 200, 7, "woken, by whom was not recorded"),
]
# fmt: on


@pytest.mark.parametrize(("key", "reason", "by", "words"), WHYS, ids=[words for *_, words in WHYS])
def test_why_somebody_is_ready_is_said(key: str, reason: int, by: int, words: str):
    steps = Told(PARK, SWITCH, *OPENS, event(Kind.GREENLET_PARK, reason=Wait.OTHER)).steps
    steps.apply(event(Kind.GREENLET_READY, reason=reason, arg=by))
    assert why_ready(steps, WORKER, LANGUAGES["en"]) == words
    assert why_ready(steps, WORKER, LANGUAGES["zh"]) != words
    assert why_ready(steps, MAIN, LANGUAGES["en"]) == ""  # that one waits


def test_each_reason_to_be_ready_is_tested_here():
    assert {key for key, *_ in WHYS} == {key for key in LANGUAGES["en"] if key.startswith("why.")}


def test_kinds_and_reasons_are_named_as_the_events_of_a_ring_are():
    assert {kind_of(kind) for kind in Kind} == {doc.name for doc in EVENT_KINDS.values()}
    assert kind_of(201) == "kind_201"
    assert reason_of(Kind.GREENLET_PARK, Wait.LOOKUP) == "look-up"
    assert reason_of(Kind.OP_BEGIN, Op.RECV_INTO) == "recv_into"
    assert reason_of(Kind.OP_BEGIN, 250) == reason_of(Kind.GREENLET_PARK, 250) == "250"
    assert reason_of(Kind.POLL_BEGIN, 0) is reason_of(Kind.JOB_PUT, 3) is reason_of(201, 0) is None
