"""What is known at each step: the rules that a replay relies on, for stories, for anything, and for real runs."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenscope.trace.analysis.narrate import LANGUAGES, narrate
from greenscope.trace.analysis.states import Life
from greenscope.trace.analysis.step_things import Things
from greenscope.trace.analysis.steps import Steps
from greenscope.trace.events import Detail, Kind, Op, Ready, Resource, Spawn, Timeouts, Wait, Watch, pack
from greenscope.trace.reader import RingReader
from greenscope.trace.records import Event, GreenletSlot
from tests.trace.analysis.scheduled import Program
from tests.trace.analysis.stories import HUB, MAIN, MS, OTHER, WORKER, Names, Told, event

RUNS = event(Kind.GREENLET_PARK, MAIN, Wait.JOIN, aux=WORKER, site=9), event(Kind.GREENLET_SWITCH)
READS = (
    event(Kind.WATCHER_OPEN, reason=Watch.READ, arg=pack(7, 5), text="10.0.0.1:80"),
    event(Kind.WATCHER_START, reason=Watch.READ, arg=pack(7, 5)),
    event(Kind.GREENLET_PARK, reason=Wait.READ, aux=6, site=14, arg=pack(7, 200)),
)
EVENTS = st.builds(
    Event,
    st.integers(0, 10**6),
    st.integers(0, 5),
    st.sampled_from([*Kind, 200]),
    st.integers(0, 14),
    st.sampled_from([0, 1, 2, 3, 0xFFFF]),
    st.integers(0, 2),
    st.builds(pack, st.integers(0, 5), st.sampled_from([0, 1, 2, 7, 0xFFFFFFFF])),
    st.sampled_from(["", "a\tb\nc"]),
)


def test_who_runs_who_waits_and_for_what_until_when_is_known():
    told = Told(*RUNS, *READS)
    worker, main = told.steps.greenlet(WORKER), told.steps.greenlet(MAIN)
    assert told.steps.running == HUB
    assert [one.number for one in told.steps.parked()] == [MAIN, WORKER]
    assert (worker.wait.reason, worker.wait.fd, worker.wait.site) == (Wait.READ, 5, 14)
    assert worker.wait.deadline_ns == told.time + 200 * MS
    assert (main.wait.reason, main.wait.awaits, main.wait.fd) == (Wait.JOIN, WORKER, None)
    armed = told.steps.armed[7]
    assert (armed.owner, armed.fd, told.steps.watchers[7].peer) == (WORKER, 5, "10.0.0.1:80")


def test_the_ready_queue_has_its_order_and_who_is_made_ready_again_keeps_its_place():
    told = Told(
        event(Kind.GREENLET_READY, OTHER, Ready.SPAWN, arg=MAIN),
        event(Kind.GREENLET_READY, WORKER, Ready.KILL, arg=MAIN),
    )
    assert (list(told.steps.queue), told.steps.first) == ([WORKER, OTHER], WORKER)
    told.go_on(event(Kind.GREENLET_PARK, MAIN, Wait.YIELD), event(Kind.GREENLET_READY, MAIN, Ready.YIELD, arg=MAIN))
    assert list(told.steps.queue) == [WORKER, OTHER, MAIN]
    told.go_on(event(Kind.GREENLET_SWITCH, WORKER))
    assert list(told.steps.queue) == [OTHER, MAIN]
    assert told.steps.greenlet(MAIN).wait.reason == Wait.YIELD


def test_a_timer_and_a_timeout_say_when_they_are_due_and_a_timeout_is_over_until_it_is_raised():
    told = Told(
        *RUNS,
        event(Kind.TIMEOUT_START, reason=Timeouts.SCOPE, arg=pack(8, 20)),
        event(Kind.WATCHER_START, reason=Watch.TIMER, arg=pack(9, 50)),
        event(Kind.GREENLET_PARK, reason=Wait.TIMER, arg=pack(9, 19)),
    )
    assert told.steps.timeouts[8].due_ns == told.time - 2 * MS + 20 * MS
    assert told.steps.armed[9].due_ns == told.time - MS + 50 * MS
    told.go_on(event(Kind.TIMEOUT_FIRE, arg=8), event(Kind.GREENLET_READY, reason=Ready.TIMEOUT, arg=8))
    assert (told.steps.timeouts, told.steps.over[WORKER].ms) == ({}, 20)
    told.go_on(event(Kind.GREENLET_THROW), event(Kind.WATCHER_STOP, reason=Watch.TIMER, arg=pack(9, 0)))
    assert (told.steps.over, told.steps.armed) == ({}, {})


def test_what_somebody_armed_who_ended_is_the_hubs_to_call_a_function_for():
    told = Told(*RUNS, event(Kind.WATCHER_START, reason=Watch.READ, arg=pack(7, 5)), event(Kind.GREENLET_EXIT))
    assert told.steps.armed[7].owner == 0
    told.go_on(event(Kind.POLL_BEGIN, 9, aux=1))  # who the hub is may be heard late
    assert (told.steps.hub, told.steps.running, told.steps.armed[7].owner) == (9, 9, 0)
    told.go_on(event(Kind.WATCHER_CLOSE, 9, Watch.READ, arg=pack(7, 5)))
    assert (told.steps.armed, told.steps.watchers) == ({}, {})


def test_calls_within_calls_end_from_the_inside_and_count_their_waits():
    told = Told(
        *RUNS,
        event(Kind.OP_BEGIN, reason=Op.CONNECT, arg=pack(0, 5)),
        event(Kind.OP_BEGIN, reason=Op.HANDSHAKE, aux=1, arg=pack(0, 5)),
        *READS,
    )
    assert (told.steps.call(WORKER).op, told.steps.call(WORKER).waits) == (Op.HANDSHAKE, 1)
    told.go_on(event(Kind.OP_END, reason=Op.HANDSHAKE))
    assert (told.steps.call(WORKER).op, told.steps.call(WORKER).waits) == (Op.CONNECT, 0)
    told.go_on(event(Kind.OP_END, reason=Op.CONNECT))
    assert told.steps.call(WORKER) is None


def lock(kind: Kind, greenlet: int, what: Resource = Resource.LOCK, *, earlier: bool = False) -> Event:
    return event(kind, greenlet, what, aux=earlier, arg=pack(6, 0))


def wants(greenlet: int) -> tuple[Event, Event]:
    return event(Kind.GREENLET_SWITCH, greenlet), event(Kind.GREENLET_PARK, greenlet, Wait.LOCK, arg=6)


def test_below_level_io_the_holder_of_a_lock_is_known_as_long_as_somebody_waits_for_it():
    told = Told(lock(Kind.RESOURCE_ACQUIRE, MAIN, earlier=True), *wants(WORKER), *wants(OTHER))
    assert told.steps.holder(6) == MAIN
    told.go_on(event(Kind.GREENLET_READY, WORKER, Ready.GREENLET, arg=MAIN))
    assert told.steps.holder(6) == WORKER
    told.go_on(event(Kind.GREENLET_SWITCH, WORKER), event(Kind.GREENLET_READY, OTHER, Ready.GREENLET, arg=WORKER))
    assert told.steps.holder(6) == 0  # when it lets go is not told


def test_at_level_io_a_lock_is_held_from_its_acquisition_to_its_release_and_a_queue_by_nobody():
    told = Told(
        event(Kind.DETAIL, MAIN, Detail.IO),
        lock(Kind.RESOURCE_ACQUIRE, MAIN),
        lock(Kind.RESOURCE_ACQUIRE, MAIN, earlier=True),
        *wants(WORKER),
        event(Kind.GREENLET_READY, WORKER, Ready.GREENLET, arg=MAIN),
    )
    assert told.steps.holder(6) == MAIN
    told.go_on(lock(Kind.RESOURCE_RELEASE, MAIN), event(Kind.RESOURCE_RELEASE, MAIN, Resource.QUEUE, arg=pack(8, 1)))
    assert told.steps.held == {}
    told.go_on(lock(Kind.RESOURCE_ACQUIRE, MAIN, Resource.SEMAPHORE))
    told.go_on(lock(Kind.RESOURCE_ACQUIRE, WORKER, Resource.SEMAPHORE))
    assert (told.steps.holder(6), told.steps.held[6].holders) == (0, (MAIN, WORKER))
    told.go_on(event(Kind.DETAIL, MAIN, Detail.SWITCH, aux=Detail.IO))
    assert told.steps.held == {}


def test_a_semaphore_may_be_let_go_of_by_another_and_what_kind_of_a_lock_it_is_stays_known():
    told = Told(event(Kind.DETAIL, MAIN, Detail.IO))
    for number in (MAIN, WORKER):
        told.go_on(lock(Kind.RESOURCE_ACQUIRE, number, Resource.SEMAPHORE))
    told.go_on(lock(Kind.RESOURCE_RELEASE, HUB, Resource.SEMAPHORE))  # as a pool of threads does, from the hub
    assert told.steps.held == {6: (Resource.SEMAPHORE, (WORKER,))}
    told.go_on(lock(Kind.RESOURCE_RELEASE, HUB, Resource.SEMAPHORE))
    assert told.steps.held == {}
    told = Told(lock(Kind.RESOURCE_ACQUIRE, MAIN, Resource.RLOCK, earlier=True), *wants(WORKER), *wants(OTHER))
    told.go_on(event(Kind.GREENLET_READY, WORKER, Ready.GREENLET, arg=MAIN))
    assert told.steps.held == {6: (Resource.RLOCK, (WORKER,))}


def test_whom_a_lock_or_an_end_is_up_to_by_now_is_not_whom_the_wait_named():
    told = Told(*RUNS, event(Kind.GREENLET_PARK, WORKER, Wait.LOCK, aux=OTHER, arg=6))
    main, worker = told.steps.greenlet(MAIN).wait, told.steps.greenlet(WORKER).wait
    assert (told.steps.in_hand(main), told.steps.in_hand(worker)) == (WORKER, OTHER)
    told.go_on(lock(Kind.RESOURCE_ACQUIRE, MAIN))  # from here on it is told who holds what
    assert told.steps.in_hand(worker) == MAIN
    told.go_on(lock(Kind.RESOURCE_RELEASE, MAIN), event(Kind.GREENLET_READY, WORKER, Ready.GREENLET, arg=MAIN))
    assert told.steps.in_hand(worker) == 0
    told.go_on(event(Kind.GREENLET_SWITCH, WORKER), event(Kind.GREENLET_EXIT, WORKER))
    assert told.steps.in_hand(main) == 0


def test_a_raw_greenlet_is_switched_to_without_the_hub_and_returns_without_a_word():
    raw = event(Kind.GREENLET_SPAWN, 9, Spawn.RAW, arg=MAIN), event(Kind.GREENLET_SWITCH, 9)
    told = Told(*raw)
    assert (told.steps.running, told.steps.greenlet(MAIN).life, told.steps.illegal) == (9, Life.UNKNOWN, 0)
    told.go_on(event(Kind.POLL_BEGIN, HUB))  # it returned to the hub
    assert (told.steps.running, 9 in told.steps.greenlets, told.steps.illegal) == (HUB, False, 0)
    told = Told(*raw, event(Kind.WATCHER_START, 9, Watch.READ, arg=pack(7, 5)), event(Kind.POLL_BEGIN, HUB))
    assert (told.steps.greenlet(9).life, told.steps.armed[7].owner) == (Life.UNKNOWN, 9)  # it may not be over


def test_what_the_hub_does_is_known_where_it_blocks_until_the_kernel_says_something_and_what_it_calls():
    told = Told(*RUNS, *READS, event(Kind.POLL_BEGIN, HUB, aux=1))
    assert (told.steps.polling, told.steps.blocks) == (True, True)
    told.go_on(event(Kind.WATCHER_FIRE, reason=Watch.READ, arg=pack(7, 5)))
    assert (told.steps.polling, told.steps.blocks) == (True, False)
    told.go_on(event(Kind.POLL_END, HUB, aux=1), event(Kind.CALLBACK_BEGIN, HUB))
    assert (told.steps.polling, told.steps.callback) == (False, 0)  # it calls something that has no name
    told.go_on(event(Kind.CALLBACK_END, HUB))
    assert told.steps.callback is None


def test_of_one_that_arms_thousands_most_are_the_hubs_to_call_functions_for():
    told = Told(*(event(Kind.WATCHER_START, MAIN, Watch.TIMER, arg=pack(number, 5)) for number in range(10, 5010)))
    owners = [one.owner for one in told.steps.armed.values()]
    assert (owners.count(MAIN), owners.count(0)) == (4096, 904)


def test_after_a_loss_nothing_is_known_but_what_numbers_stand_for_until_it_is_said_again():
    told = Told(*RUNS, *READS)
    told.steps.lose(40)
    steps = told.steps
    assert (steps.running, steps.lost, steps.queue_known, steps.contradictions()) == (None, 40, False, [])
    assert (steps.parked(), steps.armed, steps.queue) == ([], {}, {})
    assert (steps.names[WORKER], steps.watchers[7].fd) == ("worker-2", 5)
    told.go_on(event(Kind.TIMEOUT_START, arg=pack(8, 20)))  # that is done by who runs
    assert steps.running == WORKER
    told.go_on(event(Kind.GREENLET_PARK, reason=Wait.TIMER), event(Kind.POLL_BEGIN, HUB, aux=1))
    assert (steps.running, steps.queue_known, steps.illegal) == (HUB, True, 0)


def test_what_cannot_be_is_counted_and_followed():
    told = Told(event(Kind.GREENLET_SWITCH, OTHER))
    assert (told.steps.running, told.steps.greenlet(MAIN).life) == (OTHER, Life.UNKNOWN)
    assert told.steps.illegal == 1  # another one ran, and did not say that it waits
    told.go_on(event(Kind.GREENLET_PARK, HUB, Wait.READ), event(Kind.GREENLET_PARK, WORKER, Wait.READ))
    assert (told.steps.illegal, told.steps.running) == (4, HUB)


def test_the_table_tells_names_and_peers_of_what_was_lost():
    row = GreenletSlot(3, "w", True, 0, 0, "waiting", Wait.WRITE, 0, 7, 5, "10.0.0.1:80", 0, 0, 0, 0, 1)
    steps = Steps(Names(), [row, row._replace(greenlet=9, state="free")])
    assert (steps.names, steps.watchers[7]) == ({3: "w #3"}, (Watch.WRITE, 5, "10.0.0.1:80", 0))
    steps.expect(event(Kind.GREENLET_NAME, 3, arg=3))
    steps.expect(event(Kind.GREENLET_NAME, 4, arg=4))
    assert steps.names == {3: "w #3", 4: "worker-1"}


def test_a_copy_goes_on_by_itself():
    told = Told(*RUNS)
    before = told.steps.copy()
    told.go_on(*READS)
    assert (before.running, before.armed, told.steps.running) == (WORKER, {}, HUB)
    for one in READS:
        before.apply(one)
    assert before.greenlet(WORKER).wait[:3] == told.steps.greenlet(WORKER).wait[:3]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(EVENTS, st.integers(0, 3))))
def test_the_rules_hold_and_there_are_words_whatever_the_file_says(story):
    steps = Steps(Names())
    for one in story:
        if isinstance(one, Event):
            before = steps.copy()
            assert all(narrate(steps, one, language) for language in LANGUAGES)
            assert as_it_is(steps) == as_it_is(before)  # to tell changes nothing
            steps.apply(one)
        else:
            steps.lose(one)
        assert steps.contradictions() == []


def as_it_is(steps: Steps) -> list[object]:
    return [getattr(steps, name) for name in (*Things.__slots__, *Steps.__slots__)]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(["spawn", "park", "run", "wake", "end"]), max_size=40))
def test_of_a_legal_run_the_ready_queue_is_the_ready_events_minus_the_switches(choices):
    program, steps, at = Program(), Steps(Names()), 0
    for choice in choices:
        act(program, choice)
        for one in program.events[at:]:
            steps.apply(one)
            assert steps.contradictions() == []
        at = len(program.events)
        assert list(steps.queue) == program.ready
        assert steps.running == (program.running or HUB)
        assert sorted(one.number for one in steps.parked()) == sorted(program.waiting)
        assert steps.illegal == 0


def act(program: Program, choice: str) -> None:
    """Do it, if it can be done now."""
    if choice == "spawn" and program.running:
        program.spawn()
    elif choice == "park" and program.running:
        program.park()
    elif choice == "end" and program.running and program.running != MAIN:
        program.end()
    elif choice == "run" and not program.running and program.ready:
        program.run(program.ready[0])
    elif choice == "wake" and program.waiting:
        program.wake(program.waiting[0])


# -- real runs ----------------------------------------------------------------------------------

PROGRAM = """
import greenscope.runtime as g
from greenscope.runtime import Timeout, joinall, sleep, socket, spawn
from greenscope.runtime.lock import RLock
from greenscope.runtime.queue import Queue
one, other = socket.socketpair()
lock, queue = RLock(), Queue()
def server():
    data = other.recv(100)
    sleep(0.001)
    other.sendall(data * 300_000)
def client():
    one.sendall(b"hello")
    got = 0
    while got < 1_500_000:
        got += len(one.recv(1 << 16))
def late():
    with Timeout(0.005, False):
        one.recv(1)
def hold():
    with lock:
        sleep(0.001)
def get():
    queue.get()
joinall([spawn(server), spawn(client)])
joinall([spawn(late)])
joinall([spawn(hold), spawn(hold), spawn(hold)])
getter = spawn(get); sleep(0); queue.put(1); getter.join()
sleeper = spawn(sleep, 60); sleep(0); sleeper.kill()
refused = spawn(one.recv, 1); sleep(0); one.close(); refused.join()
g.get_hub().threadpool.apply(sum, ([1, 2],))
"""


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The program above, recorded at every level."""
    made = {}
    for level in ("switch", "io", "teach"):
        directory = tmp_path_factory.mktemp(level)
        environment = {**os.environ, "GREENSCOPE_DIR": str(directory), "GREENSCOPE_DETAIL": level}
        subprocess.run([sys.executable, "-c", PROGRAM], env=environment, check=True, timeout=60, stderr=subprocess.PIPE)
        (made[level],) = directory.glob("*.gsr")
    return made


@pytest.mark.parametrize("level", ["switch", "io", "teach"])
def test_the_rules_hold_at_each_step_of_a_real_run(recordings: dict[str, Path], level: str):
    with contextlib.closing(RingReader(recordings[level])) as reader:
        steps, waits, blocked = Steps(reader, reader.greenlets()), set(), set()
        for one in reader.read():
            assert isinstance(one, Event)
            if one.kind in (Kind.GREENLET_SWITCH, Kind.GREENLET_THROW) and steps.queue:
                assert one.greenlet == steps.first
            call = steps.call(one.greenlet)
            steps.apply(one)
            assert (steps.contradictions(), steps.illegal) == ([], 0)
            for greenlet in steps.parked():
                waits.add(Wait(greenlet.wait.reason))
                if greenlet.wait.reason in (Wait.READ, Wait.WRITE) and greenlet.wait.resource in steps.watchers:
                    assert steps.armed[greenlet.wait.resource].owner == greenlet.number
            if one.kind == Kind.GREENLET_PARK and call is not None:
                blocked.add(Op(call.op))
    assert waits >= {Wait.READ, Wait.WRITE, Wait.TIMER, Wait.LOCK, Wait.QUEUE, Wait.JOIN, Wait.THREAD}
    assert (Op.RECV in blocked, Op.SENDALL in blocked) == ((False, False) if level == "switch" else (True, True))
    assert steps.polling is False
    assert (steps.armed, steps.calls, steps.held, steps.timeouts) == ({}, {}, {}, {})
    assert [one.spawn for one in steps.greenlets.values()] == [Spawn.MAIN]
