"""Stepping through real recordings, forward, back and anywhere: the same at each step, and what the rules say."""

from __future__ import annotations

import contextlib
import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenscope.cli.event_steps import Explained
from greenscope.errors import NoSuchStepError
from greenscope.trace.analysis.frames import Frame, hub_does
from greenscope.trace.analysis.narrate import LANGUAGES
from greenscope.trace.analysis.replay import Replay, files, greenlets
from greenscope.trace.analysis.states import State
from greenscope.trace.analysis.steps import Steps
from greenscope.trace.events import Kind, Op, Ready, Resource, Spawn, Wait, Watch, pack
from greenscope.trace.reader import RingReader
from greenscope.trace.records import Event, Gap
from greenscope.trace.replaying import Replaying
from tests.trace.analysis.batches import batch
from tests.trace.analysis.replayed import PARK, SWITCH, record, told
from tests.trace.analysis.scheduled import Program, drawn
from tests.trace.analysis.stories import BEGINNING, HUB, MAIN, OTHER, WORKER, Names, event
from tests.trace.analysis.test_steps import EVENTS

RUNS = (Kind.GREENLET_SWITCH, Kind.GREENLET_THROW)


# -- the same, however one gets there -----------------------------------------------------------


def test_a_frame_is_the_same_forward_back_and_by_jumping(replay: Replay):
    count = len(replay)
    forward = [replay.frame(step) for step in range(count)]
    assert [replay.frame(step) for step in reversed(range(count))] == forward[::-1]
    steps = random.Random(7).sample(range(count), count)
    assert [replay.frame(step) for step in steps] == [forward[step] for step in steps]
    assert list(replay.frames(0, count)) == forward
    assert list(replay.frames(3, 5)) == forward[3:5]


def test_the_words_are_those_of_events_explained(replaying: Replaying):
    for language in LANGUAGES:
        with contextlib.closing(RingReader(replaying.info.path)) as reader:
            explained = Explained(reader, language)
            events = reader.read()
            for one in events:
                explained.steps.expect(one)
            for step, one in enumerate(events):
                words = replaying.replay.frame(step, language).words
                assert LANGUAGES[language]["between"].join(words) == explained.text(one)
                explained.steps.apply(one)


# -- the rules ----------------------------------------------------------------------------------


def test_at_each_step_the_rules_hold(replay: Replay):
    for step in range(len(replay)):
        steps = replay.before(step)
        assert (steps.contradictions(), steps.illegal) == ([], 0)
        if step:
            check(replay.frame(step - 1), steps)


def living(steps: Steps) -> set[int]:
    return {*steps.greenlets, steps.hub}


def check(frame: Frame, after: Steps) -> None:
    """What a frame shows is what is known after it, and makes sense by itself."""
    assert (frame.running, frame.hub) == (after.running, hub_does(after))
    assert (frame.running is None) == (frame.step == 0)  # there is a hub from the second step on
    assert (frame.hub == "waits") == (frame.running not in (None, after.hub))
    ready, parked = [one.greenlet for one in frame.ready], [one.greenlet for one in frame.parked]
    assert len({*ready, *parked, frame.running}) == len(ready) + len(parked) + 1
    assert all(one.why for one in frame.ready)
    assert all(one.reason and one.label for one in frame.parked)
    sleepers = {number for number in living(after) if after.names.get(number, "").startswith("sleep")}  # have no line
    assert all(one.site is not None or one.greenlet in sleepers for one in frame.parked)
    assert (frame.ready_total, frame.parked_total) == (len(ready), len(parked))
    armed = {one.watcher: one for one in frame.watchers}
    assert {one.owner for one in frame.watchers} | {one.owner for one in frame.timeouts} <= living(after)
    for one in frame.parked:
        for watcher in (one.watcher, one.timer):
            assert watcher is None or armed[watcher].owner == one.greenlet or armed[watcher].fired
        assert one.on.greenlet is None or one.on.greenlet in living(after)
        assert one.on.kind != "other"
    assert frame.words and all(frame.words)


def test_the_ready_queue_is_the_ready_events_minus_the_switches(replay: Replay):
    queue: list[int] = []
    for step, one in enumerate(replay.events()):
        if one.kind == Kind.GREENLET_READY and one.greenlet not in queue:
            queue.append(one.greenlet)
        elif one.kind in (*RUNS, Kind.GREENLET_EXIT) and one.greenlet in queue:
            assert one.kind == Kind.GREENLET_EXIT or queue[0] == one.greenlet
            queue.remove(one.greenlet)
        frame = replay.frame(step)
        assert ([ready.greenlet for ready in frame.ready], frame.ready_known) == (queue, step > 0)


def test_what_can_be_stepped_to_is_a_switch_and_where_its_greenlet_runs_again(replay: Replay):
    frames = list(replay.frames(0, len(replay)))
    changes = [
        step
        for step in range(1, len(frames))
        if frames[step].running != frames[step - 1].running and frames[step].kind != "greenlet_spawn"
    ]
    switches = [step for step in changes if frames[step].kind.startswith("greenlet")]
    for frame in frames:
        back = [step for step in switches if step < frame.step]
        on = [step for step in switches if step > frame.step]
        assert (frame.go.switch_back, frame.go.switch_on) == (back[-1] if back else None, on[0] if on else None)
        for step in (frame.go.again, frame.go.again_back):
            assert step is None or frames[step].running == frame.greenlet
        if frame.go.again is not None:
            assert frame.step < frame.go.again
            between = frames[frame.step + 1 : frame.go.again]
            assert all(one.running != frame.greenlet or frame.running == frame.greenlet for one in between)


def test_the_strip_says_of_each_step_what_its_frame_says(replay: Replay):
    strip = replay.strip(0, len(replay) - 1, 4000)
    states: dict[tuple[int, int], int] = {}
    for lane in strip.lanes:
        assert lane.name == replay.name(lane.greenlet)
        for first, last, state, _ in lane.parts:
            states.update(((lane.greenlet, step), state) for step in range(first, last + 1))
    for frame in replay.frames(0, len(replay)):
        shown = {one.greenlet: State.READY for one in frame.ready} | {
            one.greenlet: State.WAITING for one in frame.parked
        }
        if frame.running is not None:
            shown[frame.running] = State.WAITING if frame.hub == "blocks" else State.RUNNING
        assert {number: state for (number, step), state in states.items() if step == frame.step} == shown
    middle = len(replay) // 2
    part = replay.strip(middle, middle + 5, 4000)
    cut = {(lane.greenlet, step): state for lane in part.lanes for first, last, state, _ in lane.parts
           for step in range(first, last + 1)}  # fmt: skip
    assert cut == {key: state for key, state in states.items() if middle <= key[1] <= middle + 5}


# -- losses, growth, bounds ---------------------------------------------------------------------


def test_a_loss_is_a_step_of_its_own_after_which_nothing_is_known():
    replay = told(*BEGINNING, 40, event(Kind.GREENLET_SWITCH, OTHER))
    lost = replay.frame(len(BEGINNING))
    assert replay.event(lost.step) == Gap(40)
    assert (lost.kind, lost.greenlet, lost.running, lost.hub, lost.ready_known) == ("lost", None, None, None, False)
    assert (lost.ready, lost.parked, lost.site, lost.go.again) == ([], [], None, None)
    assert lost.words[0].startswith("40 records were lost here")
    assert replay.frame(lost.step, "zh").words != lost.words
    assert (replay.frame(lost.step + 1).running, replay.recording.lost) == (OTHER, 40)
    parts = {lane.greenlet: lane.parts for lane in replay.strip(0, lost.step + 1, 100).lanes}
    assert all(last < lost.step for first, last, *_ in parts[MAIN] + parts[WORKER])
    assert parts[OTHER] == [[lost.step + 1, lost.step + 1, State.RUNNING, 0]]


def test_what_comes_later_goes_on_and_steps_keep_their_numbers():
    events = [one._replace(time_ns=at) for at, one in enumerate((*BEGINNING, PARK, SWITCH))]
    replay = Replay(Names())
    replay.add(batch(events[:4]))
    before = [replay.frame(step) for step in range(4)]
    replay.add(batch(events[4:]))
    again = [replay.frame(step) for step in range(4)]
    assert [one._replace(go=None) for one in again] == [one._replace(go=None) for one in before]  # there is more ahead
    assert (before[3].go.switch_on, again[3].go.switch_on) == (None, 4)
    assert replay.frame(len(events) - 1).running == WORKER
    assert len(replay) == len(events)


@pytest.mark.parametrize("step", [-1, 10, 1 << 60])
def test_a_step_that_there_is_not_is_refused_in_words(step: int):
    replay = told(*BEGINNING)
    for asked in (replay.event, replay.frame, replay.why, lambda step: replay.strip(0, step, 10)):
        with pytest.raises(NoSuchStepError, match=f"there is no step {step}: the steps are 0 to {len(BEGINNING) - 1}"):
            asked(step)


def test_of_nothing_there_is_nothing_to_step_to():
    replay = told()
    assert (len(replay), list(replay.frames(0, 10)), greenlets(replay), files(replay), replay.hub) == (
        0,
        [],
        [],
        [],
        HUB,
    )
    with pytest.raises(IndexError, match="there is no step 0: nothing is recorded"):
        replay.frame(0)


def test_a_list_has_fifty_and_says_how_many_there_are():
    many = [
        one
        for number in range(10, 90)
        for one in (
            event(Kind.GREENLET_SPAWN, number, Spawn.GREENLET, arg=MAIN),
            event(Kind.GREENLET_READY, number, Ready.SPAWN, arg=MAIN),
        )
    ]
    timers = [event(Kind.TIMEOUT_START, MAIN, arg=pack(number, 5)) for number in range(200, 270)]
    armed = [event(Kind.WATCHER_START, MAIN, Watch.READ, arg=pack(number, 5)) for number in range(300, 370)]
    held = [event(Kind.RESOURCE_ACQUIRE, MAIN, Resource.SEMAPHORE, arg=number) for number in range(400, 470)]
    replay = told(*BEGINNING, *many, *timers, *armed, *held)
    last = replay.frame(len(replay) - 1)
    assert {len(shown) for shown in (last.ready, last.timeouts, last.watchers, last.held)} == {50}
    totals = last.ready_total, last.timeouts_total, last.watchers_total, last.held_total
    assert totals == (81, 70, 70, 70)
    runs = [
        one
        for number in range(10, 90)
        for one in (event(Kind.GREENLET_SWITCH, number), event(Kind.GREENLET_PARK, number, Wait.EVENT))
    ]
    replay = told(*BEGINNING, *many, PARK, *runs)
    last = replay.frame(len(replay) - 1)
    assert (len(last.parked), last.parked_total) == (50, 81)
    strip = replay.strip(0, len(replay) - 1, 10)
    assert (len(strip.lanes), strip.lanes_total) == (50, 83)
    assert strip.lanes[0].greenlet == HUB
    assert max(len(lane.parts) for lane in strip.lanes) <= 10


def test_files_and_greenlets_come_in_the_order_in_which_they_appear():
    class TwoFiles(Names):
        def site(self, number: int):
            found = super().site(number)
            return found if found is None or number < 6 else type(found)("/srv/other.py", number, "")

    stalls = event(Kind.STALL_BEGIN, site=500, text="/srv/hot.py\t7\tspin\n/srv/cold.py\t3\tmain")
    replay = told(*BEGINNING, stalls, names=TwoFiles())
    assert files(replay) == ["/srv/client.py", "/srv/other.py"]
    assert greenlets(replay) == [MAIN, WORKER, OTHER]
    site = replay.frame(len(replay) - 1).site
    assert (site.file, site.line, site.function) == ("/srv/hot.py", 7, "spin")


def test_find_gives_the_first_step_from_one_on():
    replay = told(*BEGINNING, PARK, 3, SWITCH)
    assert replay.find(lambda one: one.greenlet == WORKER) == 5
    assert replay.find(lambda one: one.greenlet == WORKER, 6) == 6
    assert replay.find(lambda _: True, kinds=(Kind.GREENLET_PARK,)) == len(BEGINNING)
    assert replay.find(lambda _: True, len(BEGINNING) + 1) == len(BEGINNING) + 2  # a loss is no event
    assert replay.find(lambda _: False) is None
    assert replay.find(lambda _: True, 1 << 40) is None


def test_a_greenlet_is_called_what_it_was_called_last_and_one_without_a_name_by_its_number():
    replay = told(*BEGINNING, event(Kind.GREENLET_NAME, WORKER, arg=5, aux=1))
    assert [replay.name(number) for number in (MAIN, WORKER, 77)] == ["main", "resize #3", "greenlet #77"]


@pytest.mark.parametrize("level", ["switch", "io"])
def test_with_less_recorded_it_shows_what_there_is(tmp_path: Path, level: str):
    for program in ("full buffer", "locks", "deadlock"):
        with contextlib.closing(Replaying(record(program, tmp_path, level))) as replaying:
            frames = list(replaying.replay.frames(0, len(replaying.replay)))
            parked = [one for frame in frames for one in frame.parked]
            assert {one.reason for one in parked} >= {"join", "lock" if program != "full buffer" else "write"}
            assert all(one.site is not None for one in parked)
            assert any(frame.current for frame in frames) is (level == "io" and program == "full buffer")
            assert all(replaying.replay.why(step) for step in range(len(frames)))


GEVENT = """
import gevent, gevent.lock, gevent.queue
from gevent import socket
lock, queue = gevent.lock.RLock(), gevent.queue.Queue(1)
def hold():
    with lock:
        gevent.sleep(0.001)
def put():
    for number in range(3):
        queue.put(number)
def get():
    for _ in range(3):
        queue.get()
gevent.joinall([gevent.spawn(hold), gevent.spawn(hold), gevent.spawn(put), gevent.spawn(get)])
gevent.get_hub().threadpool.apply(sum, ([1, 2],))
one, other = socket.socketpair()
reader = gevent.spawn(one.recv, 10)
gevent.sleep(0)
other.send(b"x")
reader.join()
with gevent.Timeout(0.005, False):
    one.recv(1)
"""


def test_a_gevent_programs_steps_follow_the_rules_as_well(tmp_path: Path):
    (tmp_path / "app.py").write_text(GEVENT)
    command = [sys.executable, "-m", "greenscope", "record", "--gevent", "--detail", "teach", "-o", "app.gsr", "app.py"]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=60, capture_output=True)
    with contextlib.closing(Replaying(tmp_path / "app.gsr")) as replaying:
        replay = replaying.replay
        waits = set()
        for step in range(1, len(replay) + 1):
            after = replay.before(step)
            assert (after.contradictions(), after.illegal) == ([], 0)
            waits |= {one.reason for one in replay.frame(step - 1).parked}
            assert replay.why(step - 1)
    assert waits >= {"read", "timer", "lock", "queue", "join", "thread", "yield"}
    assert (after.held, after.armed, after.calls, after.timeouts) == ({}, {}, {}, {})


def test_what_is_kept_grows_with_the_steps_and_not_with_the_greenlets_that_live():
    spawns = [event(Kind.GREENLET_SPAWN, number, Spawn.GREENLET, arg=MAIN) for number in range(10, 40_000)]
    replay = told(*BEGINNING, *spawns)
    replay.frame(len(replay) - 1)
    sizes = [kept.before.size for kept in replay._kept]
    assert 10 < len(sizes) < 100
    assert sum(sizes) < 8 * len(replay)
    assert [replay.frame(step).step for step in (17, 39_000, 20_000)] == [17, 39_000, 20_000]
    assert sum(one.before.size for one in replay._trail) < 8 * len(replay)


# -- anything that a file may say ---------------------------------------------------------------

STORIES = st.lists(st.one_of(EVENTS, st.integers(1, 3)), max_size=60)


@settings(max_examples=150, deadline=None)
@given(STORIES, st.integers(1, 4000))
def test_whatever_the_file_says_it_can_be_stepped_through(story: list[Event | int], most: int):
    replay = told(*story)
    count = len(replay)
    forward = list(replay.frames(0, count))
    assert [replay.frame(step, "en") for step in reversed(range(count))] == forward[::-1]
    for step in range(count):
        assert 1 <= len(replay.why(step)) <= 20
    if count:
        for lane in replay.strip(0, count - 1, most).lanes:
            edges = [edge for first, last, *_ in lane.parts for edge in (first, last)]
            assert edges == sorted(edges)
            assert len(lane.parts) <= most


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 100)), max_size=60), st.data())
def test_of_a_legal_run_every_piece_of_the_strip_says_what_its_frames_say(
    choices: list[tuple[int, int]], data: st.DataObject
):
    program: Program = drawn(choices)
    replay = Replay(Names())
    replay.add(batch(program.events))
    first = data.draw(st.integers(0, len(replay) - 1))
    last = data.draw(st.integers(first, len(replay) - 1))
    states = {
        (lane.greenlet, step): state
        for lane in replay.strip(first, last, 4000).lanes
        for begin, end, state, _ in lane.parts
        for step in range(begin, end + 1)
    }
    for frame in replay.frames(first, last + 1):
        shown = {one.greenlet: State.READY for one in frame.ready} | {
            one.greenlet: State.WAITING for one in frame.parked
        }
        shown[frame.running] = State.RUNNING
        assert {number: state for (number, step), state in states.items() if step == frame.step} == shown


def test_a_call_that_is_open_is_told_of_whom_the_step_is_about():
    replay = told(*BEGINNING, PARK, SWITCH, event(Kind.OP_BEGIN, reason=Op.RECV, site=14, arg=pack(7, 5)))
    current = replay.frame(len(replay) - 1).current
    assert current is not None
    assert (current.greenlet, current.call, current.fd, current.site.line, current.waits) == (WORKER, "recv", 5, 14, 0)
