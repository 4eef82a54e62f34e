"""What gevent programs do at the edges: forks of programs with threads, greenlets of other threads, objects that answer
for everything, errors; that they behave as without greenscope, and what is recorded is true.

Some of it showed only under `make sanitize`, which runs these, too.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from greenscope.trace.events import Kind
from tests.integrations.gevent_help import Recording, read, reading
from tests.integrations.test_gevent_life import run_python


def said_by(program: str, directory: Path) -> list[str]:
    """The lines that it printed, having ended in good order."""
    (directory / "app.py").write_text(program.lstrip())
    done = run_python(str(directory / "app.py"), directory=directory, GREENSCOPE="1")
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout.splitlines()


def recording_of(thread: str, directory: Path) -> Recording:
    for path in directory.glob("rings/*.gsr"):
        with reading(path) as ring:
            found = ring.info.thread_name == thread
        if found:
            return read(path)
    raise AssertionError(f"no recording of {thread}")


CLOSES_IN_A_FORK = """
import greenscope.auto
import os, gevent, gevent.socket
here, there = gevent.socket.socketpair()
timer = gevent.get_hub().loop.timer(100)
timer.start(print)
reads = gevent.spawn(here.recv, 1)
gevent.sleep(0)
pid = os.fork()
if pid == 0:
    timer.stop()
    timer.close()
    there.close()
    os._exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


def test_a_fork_closes_what_its_parent_opened_before_it_does_anything_else(tmp_path: Path) -> None:
    assert said_by(CLOSES_IN_A_FORK, tmp_path) == ["7"]


FORKS_BESIDE_A_THREAD = """
import greenscope.auto
import os, threading, gevent
from greenscope.trace.here import here
from greenscope.trace.reader import RingReader
began, over = threading.Event(), threading.Event()
recorders = []
def runs():
    gevent.sleep(0)
    recorders.append(here.recorder)
    began.set()
    over.wait()
thread = threading.Thread(target=runs)
thread.start()
began.wait()
gevent.sleep(0)
pid = os.fork()
if pid == 0:
    gevent.sleep(0.001)
    os._exit(0 if here.recorder is not None and here.recorder.path is not None else 1)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
ring = RingReader(recorders[0].path)
print(ring.end_ns())
ring.close()
over.set()
thread.join()
"""


def test_a_fork_beside_a_thread_has_a_ring_and_does_not_end_the_threads(tmp_path: Path) -> None:
    assert said_by(FORKS_BESIDE_A_THREAD, tmp_path) == ["0", "None"]


PATCHED_BEFORE = """
from gevent import monkey
monkey.patch_all()
import greenscope.auto
import gevent
from greenscope.trace import mark
gevent.spawn(mark, "in a greenlet").join()
"""


def test_a_program_that_is_patched_before_has_one_ring_for_all_its_greenlets(tmp_path: Path) -> None:
    said_by(PATCHED_BEFORE, tmp_path)
    marks = [event.text for event in recording_of("MainThread", tmp_path).events if event.kind == Kind.MARK]
    assert marks == ["in a greenlet"]


STARTED_ELSEWHERE = """
import greenscope.auto
import threading, gevent
runs, ended = threading.Event(), threading.Event()
def works():
    runs.set()
    ended.wait()  # for which this thread stands still
    gevent.sleep(0)
gevent.sleep(0)
greenlet = gevent.Greenlet(works)
started = threading.Event()
def starts():
    gevent.sleep(0)
    greenlet.start()
    started.set()
    runs.wait()
    gevent.get_hub().destroy()
    ended.set()
thread = threading.Thread(target=starts, name="other")
thread.start()
started.wait()
greenlet.join()
thread.join()
"""


def test_a_greenlet_that_another_thread_starts_is_in_the_recording_of_the_one_it_runs_in(tmp_path: Path) -> None:
    said_by(STARTED_ELSEWHERE, tmp_path)
    assert recording_of("MainThread", tmp_path).of("works") == [
        "spawn",
        "name",
        "ready other",
        "switch",
        "park yield",
        "ready yield",
        "switch",
        "exit returned",
    ]
    assert recording_of("other", tmp_path).of("works")[-1] == "exit killed"


STARTED_TWICE = """
import greenscope.auto
import gevent
from gevent.hub import Waiter
hub = gevent.get_hub()
watchers = [hub.loop.timer(0.001)]
def starts():
    waiter = Waiter()
    watchers[0].start(waiter.switch, waiter)
    hub.switch()
def waits():
    watcher, waiter = watchers.pop(), Waiter()
    watcher.start(waiter.switch, waiter)
    waiter.get()
    watcher.close()
both = [gevent.spawn(starts), gevent.spawn(waits)]
both[1].join()
gevent.killall(both)
print("done")
"""


def test_a_watcher_that_two_start_and_one_lets_go_of(tmp_path: Path) -> None:
    assert said_by(STARTED_TWICE, tmp_path) == ["done"]


ANSWERS_FOR_EVERYTHING = """
import greenscope.auto
import gevent
asked = []
class Far:
    def __getattr__(self, name):
        asked.append(name)
        return self
    def __call__(self):
        return "called"
class Works(gevent.Greenlet):
    @property
    def value(self):
        asked.append("value")
    @property
    def exception(self):
        asked.append("exception")
    def _run(self):
        gevent.sleep(0)
works = Works.spawn()
far = gevent.spawn(Far())
gevent.sleep(0)
gevent.sleep(0)
print(asked, far.value)
print(gevent.get_hub().threadpool.spawn(Far()).get())
with gevent.Timeout(float("inf")):
    gevent.sleep(0)
"""


def test_objects_of_the_programs_are_not_asked_what_it_answers_itself(tmp_path: Path) -> None:
    assert said_by(ANSWERS_FOR_EVERYTHING, tmp_path) == ["[] called", "called"]
    assert "Far" in recording_of("MainThread", tmp_path).ever


RAISES = """
import greenlet
heard = []
greenlet.settrace(lambda event, greenlets: heard.append(event))
import greenscope.auto
import gevent
from greenscope.trace.events import Detail
from greenscope.trace.here import here
gevent.sleep(0)
here.recorder.set_detail(Detail.TEACH)
loop = gevent.config.loop(default=False)
timer = loop.timer(1)
timer.start(print)
loop.destroy()
def stops():
    timer.stop()
def closes():
    timer.close()
for call in (stops, closes):
    try:
        call()
    except ValueError as error:
        print(error)
gevent.get_hub().destroy(destroy_loop=True)
before = len(heard)
gevent.sleep(0)
print(len(heard) > before)
"""


def test_what_gevent_raises_is_raised_and_an_earlier_tracer_outlives_the_hub(tmp_path: Path) -> None:
    assert said_by(RAISES, tmp_path) == ["operation on destroyed loop"] * 2 + ["True"]


COLLECTS = """
import greenscope.auto
import gc, random, gevent, greenlet
from gevent.event import Event
class Keeps: ...
def is_let_go_of():
    greenlet.getcurrent().parent.switch()
def makes():
    for _ in range(100):
        keeps = Keeps()
        keeps.itself = keeps
        keeps.greenlet = greenlet.greenlet(is_let_go_of)
        keeps.greenlet.switch()
        del keeps
        gc.set_threshold(random.randrange(1, 12), 1, 1)
        Event().wait(0.0001)
gevent.joinall([gevent.spawn(makes) for _ in range(4)])
"""


def test_greenlets_that_are_collected_at_any_time_leave_the_order_of_the_others(tmp_path: Path) -> None:
    said_by(COLLECTS, tmp_path)
    runs: int | None = None
    for event in recording_of("MainThread", tmp_path).events:
        if event.kind in {Kind.GREENLET_SWITCH, Kind.GREENLET_THROW}:
            assert runs is None, event
            runs = event.greenlet
        elif event.kind == Kind.GREENLET_PARK:
            assert runs == event.greenlet, event
            runs = None
        elif event.kind == Kind.GREENLET_EXIT and runs == event.greenlet:
            runs = None


IS_FOUND = """
import os, gevent
os.chdir("/")
print(__file__, gevent.spawn(lambda: (lambda: 0).__code__.co_filename).get())
"""


def test_a_program_that_is_given_by_a_relative_path_knows_where_it_is_as_under_python(tmp_path: Path) -> None:
    program = tmp_path / "app.py"
    program.write_text(IS_FOUND.lstrip())
    said = [
        subprocess.run([sys.executable, *run, "app.py"], cwd=tmp_path, capture_output=True, check=True, timeout=60)
        for run in ([], ["-m", "greenscope", "record", "--gevent", "-o", "app.gsr"])
    ]
    assert [done.stdout.decode().split() for done in said] == [[str(program)] * 2] * 2
