"""The watchdog and forks, in processes of their own: no warning that is due to it, and it goes on where it was."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from greenscope.trace.events import Kind
from greenscope.trace.reader import RingReader
from greenscope.trace.records import Event

if sys.platform != "linux":
    pytest.skip("the watchdog reads what Linux has", allow_module_level=True)

pytestmark = pytest.mark.usefixtures("default_stalls")

BEGIN = """
import contextlib, ctypes, os, socket, struct, sys, threading, time
import greenscope.runtime as g

def spin(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass

def watchdogs():
    found = 0
    for task in os.listdir("/proc/self/task"):
        with contextlib.suppress(OSError), open(f"/proc/self/task/{task}/comm") as comm:  # it may have ended
            found += comm.read() == "greenscope\\n"
    return found

def forks(fork=os.fork):
    pid = fork()
    if pid == 0:
        os._exit(0)
    assert threads() >= before, "it is back at once"  # one more, if that asks for the GIL
    assert os.waitpid(pid, 0)[1] == 0

def threads():
    return len(os.listdir("/proc/self/task"))

def settled():
    while watchdogs() != 1:  # a thread gets its name a moment after it began
        time.sleep(0.001)

g.sleep(0.01)
before = threads()
"""


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., str]:
    """Runs such a program, which has every warning shown, to its end: what it said on stderr."""

    def to_end(source: str, first: str = "", **environment: str) -> str:
        script = tmp_path / "scripts" / "script.py"
        script.parent.mkdir(exist_ok=True)
        script.write_text(first + BEGIN + source)
        done = subprocess.run(
            # A warning that is made an exception is lost in os.fork; shown, it is seen.
            [sys.executable, "-W", "always", str(script)],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stderr

    return to_end


def stalls(directory: Path) -> list[tuple[Kind, int]]:
    """What was written of stalls, and a number of each: when it began, or how long it was, in ns."""
    found = []
    for path in sorted(directory.glob("*.gsr")):
        with closing(RingReader(path)) as reader:
            found += [
                (Kind(event.kind), event.arg)
                for event in reader.read(1 << 20)
                if isinstance(event, Event) and event.kind in (Kind.STALL_BEGIN, Kind.STALL_END)
            ]
    return found


# No warning.

WAYS = {
    "fork": "forks()",
    "forkpty": "forks(lambda: os.forkpty()[0])",
    "twenty in a row": "for _ in range(20): forks()",
    "of a greenlet": "g.spawn(forks).get()",
    "called by C": "import functools\nforks(functools.partial(next, iter(os.fork, None)))",
    "several in one call of C": """
for pid in list(map(lambda fork: fork(), [os.fork, os.fork])):
    if pid == 0:
        os._exit(0)
os.wait()
""",
    "of a child": "pid = os.fork()\nsettled() if pid else g.sleep(0.01)\nbefore = threads()\nforks()",
    "multiprocessing": """
import multiprocessing
process = multiprocessing.get_context("fork").Process(target=int)
process.start()
process.join()
""",
    "subprocess, with a function": "import subprocess\nsubprocess.run(['true'], preexec_fn=int, check=True)",
    "subprocess": "import subprocess\nsubprocess.run(['true'], check=True)",
}


@pytest.mark.parametrize("way", WAYS)
def test_a_fork_says_nothing_and_the_watchdog_is_there_afterwards(way: str, run: Callable[..., str]):
    assert run(f"{WAYS[way]}\nsettled()\n") == ""


def test_nor_does_one_with_hooks_that_are_python_before_and_after_ours(run: Callable[..., str]):
    hook = """
import os
def works(n=3):
    for _ in range(100):
        pass
    return n and works(n - 1)
os.register_at_fork(before=works, after_in_parent=works)
"""
    assert run(f"{hook}\nforks()\nsettled()\n", first=hook) == ""


def test_nor_one_of_a_patched_program_whose_locks_are_hooks(run: Callable[..., str]):
    patched = "from greenscope.runtime import monkey\nmonkey.patch_all()\n"
    assert run("import logging, concurrent.futures.thread\nforks()\nsettled()\n", first=patched) == ""


# A thread that was joined counts for a moment more.
THREADS = {
    "main": "forks()",
    "another": "other = threading.Thread(target=forks)\nbefore += 1\nother.start()\nother.join()",
    "main, after another": "one = threading.Thread(target=int); one.start(); one.join(); time.sleep(0.05); forks()",
}


@pytest.mark.parametrize("bystanders", [0, 1])
@pytest.mark.parametrize("who", THREADS)
def test_a_programs_own_thread_is_warned_of_as_it_is_without_us(who: str, bystanders: int, run: Callable[..., str]):
    source = f"""
held = [threading.Thread(target=time.sleep, args=(1,), daemon=True) for _ in range({bystanders})]
for thread in held:
    thread.start()
before = threads()
{THREADS[who]}
"""
    warned = sys.version_info >= (3, 12) and (bystanders == 1 or who == "another")
    for environment in ({}, {"GREENSCOPE": "0"}):
        assert run(source, **environment).count("multi-threaded") == warned


# It goes on.


def test_a_stall_that_began_before_a_fork_ends_after_it(run: Callable[..., str], trace_directory: Path):
    said = run("spin(0.5)\nprint(time.monotonic_ns(), file=sys.stderr)\nforks()\nspin(0.3)\ng.sleep(0.01)\n")
    (begin, since), (end, lasted) = stalls(trace_directory)
    assert (begin, end) == (Kind.STALL_BEGIN, Kind.STALL_END)
    assert since < int(said)
    assert since + lasted > int(said) + 300_000_000


def test_a_hub_that_forks_often_stalls_all_the_same(run: Callable[..., str], trace_directory: Path):
    assert run("for _ in range(8): spin(0.05); forks()\ng.sleep(0.01)\n") == ""
    (begin, _), (end, lasted) = stalls(trace_directory)
    assert (begin, end) == (Kind.STALL_BEGIN, Kind.STALL_END)
    assert lasted > 120_000_000  # over more than one of them


# A container's rules may refuse what gives the watchdog descriptors of its own; 436: close_range.
REFUSING = """
import ctypes, struct, platform
def refuse(*rules):
    rules = [(0x20, 0, 0, 0), *rules, (0x06, 0, 0, 0x7FFF0000), (0x06, 0, 0, 0x5000B)]  # EAGAIN
    packed = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *rule) for rule in rules))
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(rules), ctypes.addressof(packed)))
    libc = ctypes.CDLL(None)
    assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, program) == 0
"""


@pytest.mark.parametrize("table", ["its own", "the program's"])
def test_who_asks_before_a_fork_or_after_it_is_answered_on_the_same_socket(table: str, run: Callable[..., str]):
    first = f"{REFUSING}refuse((0x15, 1, 0, 436))\n" if table == "the program's" else ""
    source = """
path = os.environ["GREENSCOPE_DIR"] + f"/{os.getpid()}.sock"
def connected():
    one = socket.socket(socket.AF_UNIX)
    one.connect(path)
    return one
def answer(one):
    text = b""
    while part := one.recv(65536):
        text += part
    assert text.startswith(b'{"pid":') and text.endswith(b"}\\n"), text
file = os.stat(path)
asked, asking = connected(), connected()
asking.sendall(b"sta")
asked.sendall(b"stacks\\n")
forks()
asking.sendall(b"cks\\n")
answer(asked)
answer(asking)
after = connected()
after.sendall(b"stacks\\n")
answer(after)
assert os.stat(path).st_ino == file.st_ino
for _ in range(50):
    with connected() as one:
        one.sendall(b"stacks\\n")
        forks()
        answer(one)
assert os.stat(path).st_ino == file.st_ino
"""
    assert "multi-threaded" not in run(source, first)


def test_a_program_that_closed_its_wake_has_a_new_one_and_a_socket_after_a_fork(run: Callable[..., str]):
    run("""
path = os.environ["GREENSCOPE_DIR"] + f"/{os.getpid()}.sock"
os.closerange(3, 256)
forks()
settled()
for _ in range(3):
    while True:
        with socket.socket(socket.AF_UNIX) as one:
            try:
                one.connect(path)
                break
            except (ConnectionRefusedError, FileNotFoundError):
                time.sleep(0.01)  # nobody waits for the new thread
    forks()
""")


def test_a_fork_that_fails_leaves_it_running(run: Callable[..., str]):
    source = (
        REFUSING
        + """
number = {"x86_64": 56, "aarch64": 220}[platform.machine()]  # clone, if it makes no thread (CLONE_VM)
refuse((0x15, 0, 2, number), (0x20, 0, 0, 16), (0x45, 0, 1, 0x100))
for _ in range(3):
    try:
        os.fork()
    except BlockingIOError:
        pass
    else:
        raise SystemExit("it forked")
    settled()
"""
    )
    assert run(source) == ""


def test_threads_with_hubs_fork_all_at_once(run: Callable[..., str], trace_directory: Path):
    run("""
def work():
    for _ in range(20):
        g.sleep(0.001)
        pid = os.fork()
        if pid == 0:
            g.sleep(0.001)
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        g.get_hub().destroy()
others = [threading.Thread(target=work) for _ in range(3)]
for other in others:
    other.start()
work()
for other in others:
    other.join()
settled()
with socket.socket(socket.AF_UNIX) as one:
    one.connect(os.environ["GREENSCOPE_DIR"] + f"/{os.getpid()}.sock")
    one.sendall(b"stacks\\n")
    assert one.recv(10)
""")


def test_one_that_is_away_when_the_program_ends_takes_its_socket_along(run: Callable[..., str], trace_directory: Path):
    assert run("from greenscope.trace import _ring\n_ring.watchdog_before_fork()\nassert watchdogs() == 0\n") == ""
    assert list(trace_directory.glob("*.sock")) == []
