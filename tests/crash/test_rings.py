"""However a process dies, and wherever its writer is then: all that it had said before is in its ring.

A writer that goes on at full speed says, in a page that it shares with its parent, how many events it has
written. It is killed at a moment that nobody chose; what it had said must be there, in order, without a hole.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from greenscope.cli.hub_view import look
from greenscope.trace.events import Kind
from greenscope.trace.reader import RingReader
from greenscope.trace.records import Event
from greenscope.trace.ring_layout import MAX_BURST
from tests.trace.rings import WRITERS
from tests.trace.test_space import MOUNT, namespace

ROOT = Path(__file__).resolve().parents[2]

# Many writers, one after the other; each forked, so that a round takes milliseconds. It writes everything
# that has more than one record, and changes the table, because that is what can be left half done.
ROUNDS = """
import ctypes, mmap, os, random, signal, sys, threading, time
from pathlib import Path
from greenscope.trace.ring_file import RingSizes
from tests.trace.rings import begin, new_ring

directory, writer, how, rounds, seed = Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5])
sizes = RingSizes(events=4096, slots=64, sites=64, string_bytes=1 << 16)
chance = random.Random(seed)
libc = ctypes.CDLL(None)

def write(path, said, delay):
    ring, file = new_ring(writer, path, sizes)
    ring.clock_ns = 0
    hub, main = begin(ring)
    dies_in(delay)
    number = 0
    while True:
        number += 1
        child = ring.spawn(0, 0, 1, main)
        ring.watcher_open(1, 7, b"a peer's address that takes more than one record: %d" % number)
        ring.wait(1, number, 7, 1000, b"a peer")
        ring.fire(main, 1, number, 7)
        ring.switch(main)
        ring.exit(child, 0)
        ring.watcher_close(1, number, 7)
        said.value = number  # in one store; struct's pack_into clears first

def in_a_thread(act):
    threading.Thread(target=act, daemon=True).start()

def dies_in(delay):
    if how == "SIGSEGV in another thread":
        in_a_thread(lambda: (libc.usleep(int(delay * 1e6)), ctypes.string_at(0)))
    elif how == "SIGSEGV in a signal's handler":
        signal.signal(signal.SIGALRM, lambda *_: ctypes.string_at(0))
        signal.setitimer(signal.ITIMER_REAL, delay)
    elif how == "abort in another thread":
        in_a_thread(lambda: (libc.usleep(int(delay * 1e6)), libc.abort()))
    elif how == "_exit in another thread":
        in_a_thread(lambda: (libc.usleep(int(delay * 1e6)), libc._exit(1)))
    elif how == "an alarm":
        signal.setitimer(signal.ITIMER_REAL, delay)

for number in range(rounds):
    delay = chance.uniform(0.0005, 0.02)
    page = mmap.mmap(-1, mmap.PAGESIZE)
    said = ctypes.c_uint64.from_buffer(page)
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        try:
            write(directory / f"{number}.gsr", said, delay)
        finally:
            os._exit(70)  # never
    if how == "SIGKILL":
        while not said.value:
            time.sleep(0)
        time.sleep(delay)
        os.kill(child, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(status, said.value, flush=True)
"""

WAYS = {
    "SIGKILL": -signal.SIGKILL,
    "an alarm": -signal.SIGALRM,
    "SIGSEGV in another thread": -signal.SIGSEGV,
    "SIGSEGV in a signal's handler": -signal.SIGSEGV,
    "abort in another thread": -signal.SIGABRT,
    "_exit in another thread": 1,
}


def what_was_read(path: Path) -> tuple[list[int], int]:
    """The numbers of the rounds that are there to be read whole, and of the last that is begun."""
    with contextlib.closing(RingReader(path)) as reader:
        assert reader.state() == "died"
        head, capacity = reader.head, reader.info.event_capacity
        records = reader.read(1 << 20)
        assert reader.lost - max(0, head - capacity + MAX_BURST) in range(8)  # texts whose event was overwritten
        assert all(row.name in {"hub", "main", ""} for row in reader.greenlets())
        assert len(reader.greenlets()) <= 3
    closed, begun = [], 0
    for event in records:
        if not isinstance(event, Event):
            continue
        assert event.kind in set(Kind)
        if event.kind == Kind.WATCHER_OPEN:
            text, number = event.text.rsplit(" ", 1)
            assert text == "a peer's address that takes more than one record:"
            begun = int(number)
        elif event.kind == Kind.WATCHER_CLOSE:
            closed.append(event.arg & 0xFFFFFFFF)
    return closed, begun


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("writer", WRITERS)
def test_all_that_was_written_before_a_death_at_any_moment_is_read(tmp_path: Path, writer: str, how: str) -> None:
    rounds = 40 if writer == "c" else 8
    seed = random.randrange(1 << 30)
    command = [sys.executable, "-W", "ignore", "-c", ROUNDS, str(tmp_path), writer, how, str(rounds), str(seed)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    said = [tuple(map(int, line.split())) for line in done.stdout.splitlines()]
    assert len(said) == rounds
    assert {status for status, _ in said} == {WAYS[how]}, done.stderr
    for number, (_, acknowledged) in enumerate(said):
        path = tmp_path / f"{number}.gsr"
        closed, begun = what_was_read(path)
        if closed:
            assert closed == list(range(closed[0], closed[-1] + 1)), seed
        last = closed[-1] if closed else 0
        assert acknowledged <= last <= acknowledged + 1, seed
        assert begun in {last, last + 1}
        view = look(path)
        assert view.state == "died"
        assert not view.end_known


# -- a program, with a runtime ---------------------------------------------------------------------------

PROGRAM = """
import ctypes, os, resource, signal, sys
from greenscope import runtime
from greenscope.trace import mark
def work():
    for number in range(5000):
        mark(f"mark {number}")
        runtime.sleep(0)
    LAST_WORDS
waits = runtime.spawn(runtime.sleep, 1000)
runtime.spawn(work).get()
"""

# How it dies, the exit code that says so, and what the reader says.
ENDS = {
    "os._exit(3)": (3, "died"),
    "os.kill(os.getpid(), signal.SIGKILL)": (-signal.SIGKILL, "died"),
    "os.kill(os.getpid(), signal.SIGTERM)": (-signal.SIGTERM, "died"),
    "ctypes.string_at(0)": (-signal.SIGSEGV, "died"),
    "os.abort()": (-signal.SIGABRT, "died"),
    "resource.setrlimit(resource.RLIMIT_CPU, (1, 2))\n    while True: pass": (-signal.SIGXCPU, "died"),
    "resource.setrlimit(resource.RLIMIT_AS, (1 << 20, 1 << 20))\n    bytearray(1 << 28)": (1, "ended"),
    "os.execv(sys.executable, [sys.executable, '-c', 'raise SystemExit(5)'])": (5, "died"),
    "raise ValueError": (1, "ended"),
    "sys.exit(4)": (4, "ended"),
    "pass": (0, "ended"),
}


def marks(path: Path) -> list[str]:
    with contextlib.closing(RingReader(path)) as reader:
        assert reader.lost == 0
        return [event.text for event in reader.read(1 << 20) if isinstance(event, Event) and event.kind == Kind.MARK]


@pytest.mark.parametrize("last_words", ENDS)
def test_a_programs_events_are_there_however_it_ends_and_the_reader_says_how(
    trace_directory: Path, last_words: str
) -> None:
    if "RLIMIT_AS" in last_words and os.environ.get("GREENSCOPE_SANITIZED") == "1":
        pytest.skip("under a sanitizer every object takes memory from the system, also at the end")
    code, state = ENDS[last_words]
    source = PROGRAM.replace("LAST_WORDS", last_words)
    environment = dict(os.environ, GREENSCOPE_RING_MB="4")
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, env=environment, timeout=60)
    assert done.returncode == code, done.stderr
    (path,) = trace_directory.glob("*.gsr")
    assert marks(path) == [f"mark {number}" for number in range(5000)]
    info = subprocess.run(
        [sys.executable, "-m", "greenscope", "info", path], capture_output=True, text=True, timeout=60
    )
    assert f"\nend        {state}" in info.stdout
    view = look(path)
    assert view.state == state
    states = {row.name.split(" #")[0]: row.state for row in view.rows}
    assert states["sleep"] == "waiting"
    if state == "died":
        assert states["work"] == "running"


KILLED_ON_A_FULL_DISK = """
import json, os, shutil, signal, sys
from pathlib import Path
disk, elsewhere = Path(sys.argv[1]), Path(sys.argv[2])
child = os.fork()
if child == 0:
    from tests.trace.rings import begin, new_ring
    from greenscope.trace.ring_file import RingSizes
    ring, file = new_ring("c", disk / "a.gsr", RingSizes())
    begin(ring)
    for number in range(60_000):
        ring.watcher_close(1, number, 0)
    os.kill(os.getpid(), signal.SIGKILL)
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
shutil.copy(disk / "a.gsr", elsewhere / "a.gsr")
print(json.dumps(status))
"""


def test_a_process_that_is_killed_when_its_disk_is_full_has_left_its_newest_events(tmp_path: Path) -> None:
    command = namespace()
    if not command:
        pytest.skip("no file system can be mounted here, neither as root nor in a user namespace")
    disk = tmp_path / "disk"
    disk.mkdir()
    shell = (*command, "sh", "-c", MOUNT, str(disk), "1500k")
    script = (sys.executable, "-c", KILLED_ON_A_FULL_DISK, str(disk), str(tmp_path))
    done = subprocess.run([*shell, *script], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.stderr, json.loads(done.stdout)) == ("", -signal.SIGKILL)
    with contextlib.closing(RingReader(tmp_path / "a.gsr")) as reader:
        assert (reader.state(), reader.counters()["space_lost"]) == ("died", 1)
        args = [event.arg for event in reader.read(1 << 20) if isinstance(event, Event)]
        assert reader.lost == reader.head - reader.info.event_capacity + MAX_BURST
    assert args == list(range(60_000 - len(args), 60_000))
