"""Where there is no space, or none to be had, the program runs on, and the ring says what it could not keep.

Each case is a process of its own that sees a small file system of its own: a tmpfs of some kilobytes, mounted
in a mount namespace, which is gone with the process.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from greenscope.trace.reader import RingReader
from greenscope.trace.recorder import open_recorder
from greenscope.trace.ring_file import RingSizes
from greenscope.trace.ring_layout import EVENT, EVENT_STEP, MAX_BURST
from tests.trace.rings import WRITERS

ROOT = Path(__file__).resolve().parents[2]
PER_STEP = EVENT_STEP // EVENT.size
MOUNT = 'mount -t tmpfs -o "size=$1,mode=700" tmpfs "$0" && shift && exec "$@"'


@cache
def namespace() -> tuple[str, ...]:
    """What gives a process mounts of its own here, as root or as anybody."""
    for command in (("unshare", "-m"), ("unshare", "-Urm")):
        if shutil.which("unshare") is None:
            break
        if subprocess.run([*command, "sh", "-c", MOUNT, "/mnt", "64k", "true"], capture_output=True).returncode == 0:
            return command
    return ()


def on_a_disk_of(size: str, script: str, directory: Path, *arguments: str, **environment: str) -> Any:
    """Run a script that sees ``directory`` on a file system of this size; what it printed as JSON.

    Its stderr must be empty but for what it prints as ``stderr`` itself.
    """
    command = namespace()
    if not command:
        pytest.skip("no file system can be mounted here, neither as root nor in a user namespace")
    directory.mkdir(mode=0o700, exist_ok=True)
    done = subprocess.run(
        [*command, "sh", "-c", MOUNT, str(directory), size, sys.executable, "-c", script, str(directory), *arguments],
        cwd=ROOT,
        env={**os.environ, "GREENSCOPE_DIR": str(directory), "GREENSCOPE_RING_MB": "32", **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, (done.returncode, done.stderr)  # -7 is SIGBUS
    return json.loads(done.stdout)


WRITE = """
import contextlib, json, sys
from pathlib import Path
from greenscope.trace.reader import RingReader
from greenscope.trace.records import Event
from greenscope.trace.ring_file import RingSizes
from tests.trace.rings import begin, new_ring
path = Path(sys.argv[1]) / "a.gsr"
ring, file = new_ring(sys.argv[2], path, RingSizes())
begin(ring)
for number in range(int(sys.argv[3])):
    ring.watcher_start(1, number, 0)
exec(sys.argv[4] if len(sys.argv) > 4 else "")
with contextlib.closing(RingReader(path)) as reader:
    batch = reader.read_batch(1 << 21)
    print(json.dumps({
        "lost": batch.lost, "args": batch.events["arg"].tolist(), "head": reader.head,
        "capacity": reader.info.event_capacity, "state": reader.state(), **reader.counters(),
        "greenlets": len(reader.greenlets()), "disk": path.stat().st_blocks * 512,
    }))
"""


@pytest.mark.parametrize("writer", WRITERS)
def test_on_a_full_disk_the_events_wrap_within_what_is_there(writer: str, tmp_path: Path) -> None:
    written = 60_000
    said = on_a_disk_of("1500k", WRITE, tmp_path / "disk", writer, str(written))
    assert said["space_lost"] == 1
    assert said["capacity"] % PER_STEP == 0
    assert PER_STEP < said["capacity"] < written
    assert said["lost"] == said["head"] - said["capacity"] + MAX_BURST
    assert said["args"] == list(range(written - said["capacity"] + MAX_BURST, written))
    assert said["disk"] <= 1500 << 10


@pytest.mark.parametrize("writer", WRITERS)
def test_on_a_full_disk_each_section_counts_what_it_could_not_keep(writer: str, tmp_path: Path) -> None:
    """64 KiB hold 512 slots; the strings of as many names are more than 64 KiB too."""
    spawns = "for number in range(1000): ring.spawn(0, ring.string(f'{number:0100}'), 0, 0)"
    said = on_a_disk_of("540k", WRITE, tmp_path / "disk", writer, "10", spawns)
    assert said["space_lost"] == 1
    assert (said["greenlets"], said["slots_lost"]) == (512, 1002 - 512)
    assert said["string_used"] <= 64 << 10
    assert said["strings_lost"] > 300
    assert (said["lost"], said["head"]) == (0, 5 + 10 + 2 * 1000)


FOLLOWED = """
import os
path = Path(sys.argv[1]) / "a.gsr"
total = 400_000
child = os.fork()
if child == 0:
    ring, file = new_ring(sys.argv[2], path, RingSizes())
    for number in range(total):
        ring.watcher_start(1, number, number)
    os._exit(0)
while not path.exists():
    pass
expected = batches = 0
with contextlib.closing(RingReader(path)) as reader:
    while expected < total and (batches < 1 << 22):
        batch = reader.read_batch(5000)
        expected += batch.lost
        for arg in batch.events["arg"].tolist():
            assert arg == expected | expected << 32, (arg, expected)
            expected += 1
        batches += len(batch.events) > 0
    assert os.waitpid(child, 0)[1] == 0
    print(json.dumps({"expected": expected, "head": reader.head, "space_lost": reader.counters()["space_lost"]}))
"""


def test_who_follows_a_ring_whose_disk_fills_up_gets_every_event_or_the_gap(tmp_path: Path) -> None:
    imports = WRITE.split("path =", maxsplit=1)[0]
    said = on_a_disk_of("1500k", imports + FOLLOWED, tmp_path / "disk", "c")
    assert said == {"expected": 400_000, "head": 400_000, "space_lost": 1}


PROGRAM = """
import json, sys
from greenscope import runtime
left = 20000
def work():
    global left
    while left > 0:
        left -= 1
        runtime.sleep(0)
workers = [runtime.spawn(work) for _ in range(2000)]
runtime.joinall(workers)
a, b = __import__("socket").socketpair()
path = runtime.get_hub().recorder.path
print(json.dumps({"path": path and str(path), "stderr": sys.stderr.getvalue()}))
"""
HEARD = "import io, sys; sys.stderr = io.StringIO()\n"


def test_where_there_is_no_space_at_all_the_program_runs_on_and_says_so_once(tmp_path: Path) -> None:
    said = on_a_disk_of("64k", HEARD + PROGRAM, tmp_path / "disk")
    assert said["path"] is None
    assert said["stderr"] == (
        "greenscope: [Errno 28] No space left on device; recording into memory that nobody else can read\n"
    )


def test_a_program_runs_on_when_its_disk_fills_up(tmp_path: Path) -> None:
    said = on_a_disk_of("700k", HEARD + PROGRAM, tmp_path / "disk")
    assert said["path"] is not None
    assert said["stderr"] == ""


def test_a_directory_that_cannot_be_written_means_recording_into_memory(tmp_path: Path) -> None:
    read_only = "import os, sys, subprocess; subprocess.run(['mount', '-o', 'remount,ro', sys.argv[1]], check=True)\n"
    said = on_a_disk_of("8m", read_only + HEARD + PROGRAM, tmp_path / "disk")
    assert said["path"] is None
    assert "Read-only file system" in said["stderr"]
    assert said["stderr"].count("\n") == 1


@pytest.mark.parametrize("writer", WRITERS)
def test_signals_do_not_cost_space(writer: str, tmp_path: Path) -> None:
    storm = """import signal
signal.signal(signal.SIGALRM, lambda *_: None)
signal.setitimer(signal.ITIMER_REAL, 50e-6, 50e-6)
"""
    calm = "signal.setitimer(signal.ITIMER_REAL, 0)"
    written = 200_000 if writer == "c" else 20_000
    said = on_a_disk_of("64m", storm + WRITE, tmp_path / "disk", writer, str(written), calm)
    assert said["space_lost"] == 0
    assert said["args"][-written:] == list(range(written))
    assert said["head"] == written + 5


# Not every kernel lets a signal interrupt it, so here is a library that is interrupted more often than any.
INTERRUPTED = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/types.h>

int posix_fallocate64(int fd, off64_t offset, off64_t length)
{
    static int calls;
    int (*real)(int, off64_t, off64_t) = (int (*)(int, off64_t, off64_t)) dlsym(RTLD_NEXT, "posix_fallocate64");
    if (offset >= atol(getenv("FROM")) && (length > atol(getenv("LONGEST_PIECE")) || calls++ % 2 == 0))
        return EINTR;
    return real(fd, offset, length);
}
"""


@pytest.mark.parametrize(("longest_piece", "space_lost"), [(1 << 20, 0), (16384, 0), (0, 1)])
def test_being_interrupted_is_no_want_of_space_unless_it_never_ends(
    longest_piece: int, space_lost: int, tmp_path: Path
) -> None:
    compiler = shutil.which("cc")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("no C compiler here to make a library that interrupts posix_fallocate")
    library = tmp_path / "interrupted.so"
    (tmp_path / "interrupted.c").write_text(INTERRUPTED)
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, tmp_path / "interrupted.c"], check=True)
    preload = f"{os.environ.get('LD_PRELOAD', '')} {library}"  # a sanitizer's library has to be the first
    sizes = RingSizes()
    second_step = sizes.total_bytes - sizes.events * EVENT.size + EVENT_STEP
    done = subprocess.run(
        [sys.executable, "-c", WRITE, str(tmp_path), "c", "50000"],
        cwd=ROOT,
        env={**os.environ, "LD_PRELOAD": preload, "FROM": str(second_step), "LONGEST_PIECE": str(longest_piece)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    said = json.loads(done.stdout)
    assert said["space_lost"] == space_lost
    assert said["capacity"] == (PER_STEP if space_lost else 1 << 20)
    assert said["args"][-1] == 49999


def test_a_limit_on_files_makes_the_ring_smaller(tmp_path: Path) -> None:
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (12 << 20,) * 2)\n"
    said = on_a_disk_of("64m", limit + WRITE, tmp_path / "disk", "c", "300000")
    assert said["space_lost"] == 1
    assert said["capacity"] == (8 << 20) // EVENT.size
    assert said["args"] == list(range(300000 - said["capacity"] + MAX_BURST, 300000))


def test_a_limit_on_files_below_any_ring_means_recording_into_memory(tmp_path: Path) -> None:
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100 << 10,) * 2)\n"
    said = on_a_disk_of("64m", limit + HEARD + PROGRAM, tmp_path / "disk")
    assert said["path"] is None
    assert "File too large" in said["stderr"]


def test_without_memory_for_a_ring_nothing_is_recorded_and_the_program_runs_on(tmp_path: Path) -> None:
    """A limit that the program reaches before its first hub."""
    limit = """import greenscope.runtime, resource
here = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (here + (2 << 20),) * 2)
"""
    said = on_a_disk_of("64m", limit + HEARD + ONE_GREENLET, tmp_path / "disk")
    assert said["recording"] is False
    assert said["stderr"] == "greenscope: [Errno 12] Cannot allocate memory; nothing is recorded\n"


ONE_GREENLET = """
import json
from greenscope import runtime
runtime.spawn(runtime.sleep, 0).join()
print(json.dumps({"recording": runtime.get_hub().recorder.recording, "stderr": sys.stderr.getvalue()}))
"""


def test_a_directory_that_vanishes_takes_its_rings_name_and_the_next_hub_makes_it_again(trace_directory: Path) -> None:
    recorder = open_recorder(1, "MainThread")
    assert recorder.path is not None
    reader = RingReader(recorder.path)
    shutil.rmtree(trace_directory)
    for _ in range(2 * PER_STEP):
        recorder.poll_begin(1)
    assert (reader.head, reader.counters()["space_lost"], reader.state()) == (2 * PER_STEP, 0, "live")
    other = open_recorder(2, "Thread-2")
    assert other.path is not None
    assert other.path.exists()
    recorder.close()
    assert reader.state() == "ended"
    reader.close()
    other.close()


@pytest.mark.parametrize("writer", WRITERS)
def test_a_file_that_got_the_rings_descriptor_is_left_alone(writer: str, tmp_path: Path) -> None:
    """As programs do that close all they do not know, to become a daemon."""
    said = subprocess.run(
        [sys.executable, "-c", REUSED, str(tmp_path), writer], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert said == "0\n"
    with contextlib.closing(RingReader(tmp_path / "a.gsr")) as reader:
        assert (reader.counters()["space_lost"], reader.info.event_capacity) == (1, PER_STEP)
        assert reader.head == 3 * PER_STEP


REUSED = """
import os, sys
from pathlib import Path
from greenscope.trace.ring_file import RingSizes
from tests.trace.rings import new_ring
directory = Path(sys.argv[1])
ring, file = new_ring(sys.argv[2], directory / "a.gsr", RingSizes())
with open(directory / "theirs", "w") as theirs:
    os.dup2(theirs.fileno(), file.lock)
for _ in range(3 * 8192):
    ring.poll_begin(1)
print((directory / "theirs").stat().st_size)
"""


def test_a_ring_takes_little_of_the_disk_for_a_small_program(
    trace_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GREENSCOPE_RING_MB")
    script = "from greenscope import runtime\nruntime.joinall([runtime.spawn(runtime.sleep, 0) for _ in range(100)])"
    subprocess.run([sys.executable, "-c", script], check=True)
    (path,) = trace_directory.glob("*.gsr")
    assert path.stat().st_size > 32 << 20
    assert path.stat().st_blocks * 512 < 1 << 20
