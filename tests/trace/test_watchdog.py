"""The watchdog, in processes of its own: what it takes for a stall, what it says, and when it keeps quiet."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from greenscope.trace.events import Blocked, Kind, Snapshot
from greenscope.trace.reader import RingReader
from greenscope.trace.records import Event
from greenscope.trace.stacks import NoAnswerError, ask, stacks_of

if sys.platform != "linux":
    pytest.skip("the watchdog reads what Linux has", allow_module_level=True)

BEGIN = """
import ctypes, os, re, signal, sys, threading, time
import greenscope.runtime as g
from greenscope.runtime import Event

def spin(seconds=0.4):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass
"""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts a program, with what all of them begin with, in a process that ends with the test."""
    children: list[subprocess.Popen[str]] = []

    def begin(source: str, **environment: str) -> subprocess.Popen[str]:
        # Not beside the trace directory: that would be a package of our name.
        script = tmp_path / f"script{len(children)}" / "script.py"
        script.parent.mkdir()
        script.write_text(BEGIN + source)
        child = subprocess.Popen(
            [sys.executable, "-W", "error", str(script)],
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        children.append(child)
        return child

    yield begin
    for child in children:
        child.kill()
        child.communicate()


@pytest.fixture
def run(start: Callable[..., subprocess.Popen[str]]) -> Callable[..., str]:
    """Runs such a program to its end: what it printed."""

    def to_end(source: str, **environment: str) -> str:
        child = start(source, **environment)
        out, err = child.communicate(timeout=60)
        assert child.returncode == 0, err
        return out

    return to_end


def line(child: subprocess.Popen[str]) -> str:
    assert child.stdout is not None
    return child.stdout.readline().strip()


def stalls(directory: Path) -> list[tuple[Event, Event | None]]:
    """Each stall's begin and end, of all rings of a directory."""
    found: list[tuple[Event, Event | None]] = []
    for path in sorted(directory.glob("*.gsr")):
        with closing(RingReader(path)) as reader:
            for event in reader.read(1 << 20):
                if isinstance(event, Event) and event.kind == Kind.STALL_BEGIN:
                    found.append((event, None))
                if isinstance(event, Event) and event.kind == Kind.STALL_END:
                    assert found[-1][1] is None
                    found[-1] = (found[-1][0], event)
    return found


def functions(event: Event) -> list[str]:
    return [text.split("\t")[2] for text in event.text.splitlines()]


def wait_for(condition: Callable[[], Any]) -> Any:
    end = time.monotonic() + 20
    while not (found := condition()):
        assert time.monotonic() < end
        time.sleep(0.01)
    return found


# What is a stall.

CULPRITS = {
    "a loop in Python": ("spin()", ["spin", "culprit"], Blocked.RUNNING),
    "a native sleep": ("time.sleep(0.4)", ["culprit"], Blocked.SLEEP),
    "a C call that keeps the GIL": ("ctypes.PyDLL(None).usleep(400000)", ["culprit"], Blocked.SLEEP),
    "a hopeless regular expression": (
        "re.fullmatch('(a+)+b', 'a' * 24)",
        ["Pattern", "fullmatch", "culprit"],
        Blocked.RUNNING,
    ),
}


@pytest.mark.parametrize("what", CULPRITS)
def test_a_greenlet_that_does_not_switch_is_recorded_with_its_stack(
    what: str, run: Callable[..., str], trace_directory: Path
):
    code, expected, blocked = CULPRITS[what]
    run(f"""
def culprit():
    g.sleep(0.01)
    {code}
    g.sleep(0.01)
g.spawn(culprit).join()
""")
    ((began, ended),) = stalls(trace_directory)
    assert [name for name in functions(began) if name in {*expected, "<module>"}][-1:] == ["culprit"]
    assert set(functions(began)) & set(expected)
    assert functions(began)[-1] == "Greenlet.run"  # a greenlet's stack ends at its root
    (at,) = [text for text in began.text.splitlines() if text.endswith("\tculprit")]
    assert at.split("\t")[1] == str(BEGIN.count("\n") + 4)
    assert began.reason == blocked
    assert ended is not None
    assert ended.greenlet == began.greenlet == 3
    assert ended.arg >= 100_000_000
    assert began.arg + ended.arg == ended.time_ns


WAITS = {
    "for a lock": ("native_lock.acquire()", Blocked.LOCK),
    "for a lock, with a timeout": ("native_lock.acquire(timeout=10)", Blocked.LOCK),
    "for a condition of C's": ("condition.wait(10)", Blocked.LOCK),
    "for a socket to read": ("ours.recv(1)", Blocked.RECEIVE),
    "for a socket to read, as a file": ("os.read(ours.fileno(), 1)", Blocked.RECEIVE),
    "for a connection to accept": ("listener.accept()", Blocked.ACCEPT),
    "for a socket with a timeout": ("ours.settimeout(10); ours.recv(1)", Blocked.POLL),
    "for room to send": ("ours.sendall(bytes(1 << 24))", Blocked.SEND),
    "for a pipe": ("os.read(pipe[0], 1)", Blocked.PIPE),
    "for a child process": ("os.waitpid(child.pid, 0)", Blocked.CHILD),
    "for a file's lock": ("fcntl.flock(second, fcntl.LOCK_EX)", Blocked.FILE),
    "for a signal": ("signal.sigwait([signal.SIGUSR2])", Blocked.OTHER),
}


@pytest.mark.parametrize("what", WAITS)
def test_what_a_stall_waits_for_in_the_kernel_is_recorded(
    what: str, start: Callable[..., subprocess.Popen[str]], trace_directory: Path
):
    code, blocked = WAITS[what]
    start(f"""
import fcntl, socket, subprocess
native_lock = threading.Lock()
native_lock.acquire()
condition = threading.Condition()
condition.acquire()
ours, theirs = socket.socketpair()
listener = socket.create_server(("127.0.0.1", 0))
pipe = os.pipe()
child = subprocess.Popen(["sleep", "20"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
first, second = (os.open(__file__, os.O_RDWR) for _ in range(2))
fcntl.flock(first, fcntl.LOCK_EX)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])

def culprit():
    g.sleep(0.01)
    {code}
g.spawn(culprit).join()
""")
    ((began, _),) = wait_for(lambda: stalls(trace_directory))
    assert Blocked(began.reason) == blocked


def test_a_wait_for_the_gil_is_not_taken_for_one_for_a_lock(run: Callable[..., str], trace_directory: Path):
    run("""
def culprit():
    g.sleep(0.01)
    thread = threading.Thread(target=ctypes.PyDLL(None).usleep, args=(400000,))
    thread.start()
    while thread.is_alive():
        pass
g.spawn(culprit).join()
""")
    ((began, _),) = stalls(trace_directory)
    # It wakes every five milliseconds to ask for the GIL, and may be seen at just that.
    assert began.reason in (Blocked.GIL, Blocked.RUNNING)


def test_a_name_that_changes_while_it_is_read_stays_within_its_bounds(run: Callable[..., str], trace_directory: Path):
    # What was ASCII when its head was read may have been freed since, and be anything.
    run("""
source = "def culprit():\\n    g.sleep(0.01)\\n    spin()\\n    g.sleep(0.01)"
names = {"g": g, "spin": spin}
exec(compile(source, "a" * 2000, "exec"), names)
file = names["culprit"].__code__.co_filename
ctypes.memset(id(file) + sys.getsizeof("") - 1, 0xFF, len(file))
g.spawn(names["culprit"]).join()
""")
    ((begin, _),) = stalls(trace_directory)
    assert begin.text.splitlines()[1] == "?" * 1023 + "\t3\tculprit"


def test_a_ring_that_is_opened_without_a_watchdog_is_not_looked_after_by_that_of_others(
    run: Callable[..., str], trace_directory: Path
):
    run("""
def watched():
    g.sleep(0.01)
    spin()
    g.get_hub().destroy()
thread = threading.Thread(target=watched)
thread.start()
thread.join()
os.environ["GREENSCOPE_STALL_MS"] = "0"
g.sleep(0.01)
spin()
g.sleep(0.01)
""")
    ((began, _),) = stalls(trace_directory)
    assert functions(began)[:2] == ["spin", "watched"]


def test_a_deep_recursion_is_cut_and_says_so(run: Callable[..., str], trace_directory: Path):
    run("""
def deep(n):
    return deep(n - 1) if n else spin()
def culprit():
    g.sleep(0.01)
    deep(600)
g.spawn(culprit).join()
""")
    ((began, _),) = stalls(trace_directory)
    assert functions(began)[:2] == ["spin", "deep"]
    assert functions(began)[-1].endswith("more frames)")


def test_a_callback_of_the_hub_and_one_of_the_loop_stall_it_as_well(run: Callable[..., str], trace_directory: Path):
    run("""
hub = g.get_hub()
def in_hub():
    spin()
def in_loop():
    spin()
hub.run_callback(in_hub)
g.sleep(0.01)
g.sleep(0.3)
timer = hub.loop.timer(0.2)
timer.start(in_loop)
g.sleep(1)
""")
    found = stalls(trace_directory)
    assert [functions(began)[:2] for began, _ in found] == [["spin", "in_hub"], ["spin", "in_loop"]]
    assert {began.greenlet for began, _ in found} == {1}


def test_what_switches_often_enough_or_only_waits_is_no_stall(run: Callable[..., str], trace_directory: Path):
    run(
        """
def busy():
    end = time.monotonic() + 1.5
    while time.monotonic() < end:
        g.sleep(0)
g.joinall([g.spawn(busy), g.spawn(g.sleep, 1.5)])
g.sleep(1.2)
""",
        GREENSCOPE_STALL_MS="500",
    )
    assert stalls(trace_directory) == []


def test_a_hub_that_idles_is_looked_at_twice_a_threshold(run: Callable[..., str]):
    took, looks = run("""
def looks():
    other, = set(os.listdir("/proc/self/task")) - {str(os.getpid())}
    with open(f"/proc/self/task/{other}/status") as status:
        return int(re.search("\\nvoluntary_ctxt_switches:\\t([0-9]+)", status.read())[1])
g.sleep(0.3)
began, before = time.monotonic(), looks()
g.sleep(1)
print(time.monotonic() - began, looks() - before)
""").split()
    assert 0 < int(looks) <= float(took) / 0.05 + 3  # and when it begins to


def test_a_program_that_starts_keeps_nobody_from_anything(run: Callable[..., str], trace_directory: Path):
    run("""
g.get_hub()
spin(0.4)
g.sleep(0.01)
""")
    assert stalls(trace_directory) == []


def test_events_that_are_no_switch_do_not_hide_a_stall(run: Callable[..., str], trace_directory: Path):
    run("""
from greenscope.trace import mark
def culprit():
    g.sleep(0.01)
    end = time.monotonic() + 0.4
    while time.monotonic() < end:
        mark("busy")
g.spawn(culprit).join()
""")
    assert [functions(began)[-2] for began, _ in stalls(trace_directory)] == ["culprit"]


def test_more_records_than_a_ring_holds_do_not_blind_it(run: Callable[..., str], trace_directory: Path):
    """What it then finds at the end of what is left may be a text, which has no time."""
    run("""
from greenscope.trace import mark
def culprit():
    for _ in range(40):
        end = time.monotonic() + 0.06  # more than is between two looks
        while time.monotonic() < end:
            mark("a" * 150)
        g.sleep(0.001)
    spin(0.4)
g.sleep(0.2)
g.spawn(culprit).join()
""", GREENSCOPE_RING_MB="1")  # fmt: skip
    assert "spin" in [functions(began)[0] for began, _ in stalls(trace_directory)]


def test_a_process_that_was_stopped_did_not_stall(start: Callable[..., subprocess.Popen[str]], trace_directory: Path):
    child = start("""
def work():
    g.sleep(0.01)
    print("runs", flush=True)
    sys.stdin.readline()
    g.sleep(0.01)
g.spawn(work).join()
""", GREENSCOPE_STALL_MS="3000")  # fmt: skip
    assert line(child) == "runs"
    child.send_signal(signal.SIGSTOP)
    time.sleep(3.5)  # longer than a stall, which this is not
    child.send_signal(signal.SIGCONT)
    time.sleep(0.5)  # for the watchdog to look, and to find nothing
    child.communicate("go\n", timeout=30)
    assert child.returncode == 0
    assert stalls(trace_directory) == []


def test_each_thread_with_a_hub_is_looked_after(run: Callable[..., str], trace_directory: Path):
    run("""
def in_thread():
    g.sleep(0.01)
    spin()
thread = threading.Thread(target=in_thread)
thread.start()
while thread.is_alive():
    g.sleep(0.05)
""")
    assert "in_thread" in [name for began, _ in stalls(trace_directory) for name in functions(began)]


def test_it_is_no_thread_of_pythons_and_not_there_when_it_is_not_wanted(run: Callable[..., str]):
    source = """
import _thread
g.sleep(0.01)
names = [open(f"/proc/self/task/{t}/comm").read().strip() for t in os.listdir("/proc/self/task")]
print(threading.active_count(), _thread._count(), names.count("greenscope"))
"""
    assert run(source) == "1 0 1\n"
    assert run(source, GREENSCOPE_STALL_MS="0") == "1 0 0\n"
    assert run(source, GREENSCOPE="0") == "1 0 0\n"


def test_a_setting_that_is_no_number_is_said_and_the_program_runs(start: Callable[..., subprocess.Popen[str]]):
    child = start("g.sleep(0.01); print('done')", GREENSCOPE_STALL_MS="soon")
    out, err = child.communicate(timeout=30)
    assert out == "done\n"
    assert err == (
        "greenscope: GREENSCOPE_STALL_MS is 'soon': give a whole number, or 0 for none; there is no watchdog\n"
    )


# The socket.

PARKED = """
def inner(event):
    event.wait()
def waiter(event):
    inner(event)
event = Event()
greenlets = [g.spawn(waiter, event) for _ in range(COUNT)]
g.sleep(0.05)
print("ready", flush=True)
"""


def test_all_stacks_are_answered_while_the_hub_waits(
    start: Callable[..., subprocess.Popen[str]], trace_directory: Path
):
    child = start(PARKED.replace("COUNT", "2000") + "g.sleep(60)")
    assert line(child) == "ready"
    found = wait_for(lambda: (all_ := stacks_of(trace_directory, child.pid)).running[1].polls and all_)
    assert found.gil
    waiters = [frames for frames in found.parked.values() if "waiter" in [frame.function for frame in frames]]
    assert len(waiters) == 2000
    assert {tuple(frame.function for frame in frames)[-3:] for frames in waiters} == {
        ("inner", "waiter", "Greenlet.run")
    }
    assert found.parked[1, 2][-1].function == "<module>"


@pytest.mark.parametrize(
    ("code", "gil"), [("spin(60)", True), ("time.sleep(60)", True), ("ctypes.PyDLL(None).sleep(60)", False)]
)
def test_all_stacks_are_answered_while_it_is_blocked(
    code: str, gil: bool, start: Callable[..., subprocess.Popen[str]], trace_directory: Path
):
    child = start(PARKED.replace("COUNT", "3") + code)
    assert line(child) == "ready"
    # It is ready a moment before it is blocked.
    found = wait_for(lambda: (all_ := stacks_of(trace_directory, child.pid)).gil is gil and all_)
    assert found.running[1].greenlet == 2
    assert found.running[1].frames[-1].function == "<module>"
    innermost = {next(f.function for f in found.parked[1, n] if "greenscope" not in f.file) for n in (3, 4, 5)}
    assert innermost == {"inner"}


def test_the_socket_is_its_owners_alone_and_goes_with_the_process(
    start: Callable[..., subprocess.Popen[str]], trace_directory: Path
):
    child = start("g.sleep(0.01); print('ready', flush=True); sys.stdin.readline()")
    assert line(child) == "ready"
    path = trace_directory / f"{child.pid}.sock"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    child.communicate("go\n", timeout=30)
    assert child.returncode == 0
    assert not path.exists()


def test_who_says_nothing_or_too_much_is_hung_up_on_and_the_next_is_answered(
    start: Callable[..., subprocess.Popen[str]], trace_directory: Path, monkeypatch: pytest.MonkeyPatch
):
    child = start("g.sleep(0.01); print('ready', flush=True); g.sleep(60)")
    assert line(child) == "ready"
    monkeypatch.chdir(trace_directory)
    silent = [socket.socket(socket.AF_UNIX) for _ in range(6)]
    for one in silent[:5]:
        one.connect(f"{child.pid}.sock")
    with closing(silent[5]):
        silent[5].connect(f"{child.pid}.sock")
        silent[5].sendall(b"x" * 1000)
        silent[5].settimeout(20)
        with suppress(ConnectionResetError):
            assert silent[5].recv(10) == b""
    assert "hubs" in ask(trace_directory, child.pid, "stacks", seconds=20)
    for one in silent[:5]:
        one.settimeout(20)
        assert one.recv(10) == b""
        one.close()
    with pytest.raises(NoAnswerError, match="there is no such request"):
        ask(trace_directory, child.pid, "nonsense")


def test_the_level_is_changed_from_outside(start: Callable[..., subprocess.Popen[str]], trace_directory: Path):
    child = start("""
from greenscope.trace import detail
g.sleep(0.01)
print("ready", flush=True)
while detail() != "teach":
    g.sleep(0.01)
print("teach", flush=True)
sys.stdin.readline()
""")
    assert line(child) == "ready"
    assert ask(trace_directory, child.pid, "detail teach") == {"detail": "teach"}
    assert line(child) == "teach"
    with pytest.raises(NoAnswerError, match="no such level"):
        ask(trace_directory, child.pid, "detail everything")


def test_a_forked_child_has_a_watchdog_and_a_socket_of_its_own(
    start: Callable[..., subprocess.Popen[str]], trace_directory: Path
):
    child = start("""
g.sleep(0.01)
pid = os.fork()
if pid == 0:
    g.sleep(0.01)
    print(os.getpid(), flush=True)
    sys.stdin.readline()
    os._exit(0)
print("parent", flush=True)
os.waitpid(pid, 0)
""")
    said = {line(child), line(child)}
    (forked,) = said - {"parent"}
    assert stacks_of(trace_directory, int(forked)).running.keys() == {1}
    assert stacks_of(trace_directory, child.pid).running.keys() == {1}
    child.communicate("go\n", timeout=30)
    assert child.returncode == 0


def test_many_hubs_come_and_go_under_it(run: Callable[..., str], trace_directory: Path):
    assert run(
        """
def work():
    for _ in range(20):
        g.sleep(0.001)
        g.get_hub().destroy()
threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads:
    thread.start()
for _ in range(10):
    pid = os.fork()
    if pid == 0:
        g.sleep(0.001)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
for thread in threads:
    thread.join()
print("done")
""",
        GREENSCOPE_STALL_MS="4",
    ).endswith("done\n")


OWN_WATCHDOG = """
from greenscope.trace import _ring
os.makedirs(os.environ["GREENSCOPE_DIR"], 0o700)
def are_open():
    return {fd for fd in range(64) if os.path.islink(f"/proc/self/fd/{fd}")}
before = are_open()
_ring.watchdog_start(os.environ["GREENSCOPE_DIR"], 100_000_000, 0, 16)
its = sorted(are_open() - before)
assert its
"""

MINE = {
    "a file": """
mine = os.open(os.environ["GREENSCOPE_DIR"] + "/mine.txt", os.O_RDWR | os.O_CREAT)
def bytes_got(): return os.fstat(mine).st_size
""",
    "an eventfd": """
mine = os.eventfd(1)
def bytes_got(): return os.eventfd_read(mine) - 1
""",
}


@pytest.mark.parametrize("mine", MINE)
def test_a_program_that_closes_all_it_does_not_know_gets_no_byte_of_it_and_ends(
    mine: str, run: Callable[..., str], trace_directory: Path
):
    assert (
        run(f"""
{OWN_WATCHDOG}
{MINE[mine]}
g.sleep(0.01)
for fd in its:
    os.dup2(mine, fd)
os.kill(os.getpid(), signal.SIGUSR2)
g.sleep(0.2)
print(bytes_got())
spin()
g.sleep(0.01)
if os.fork() == 0:
    for fd in its:
        os.fstat(fd)
    os._exit(0)
assert os.wait()[1] == 0
""")
        == "0\n"
    )
    assert len(stalls(trace_directory)) == 1


# A container's rules may refuse what gives the watchdog descriptors of its own.
SHARED_TABLE = """
import struct
rules = ctypes.create_string_buffer(struct.pack(  # 436: close_range
    "HBBIHBBIHBBIHBBI", 0x20, 0, 0, 0, 0x15, 0, 1, 436, 0x06, 0, 0, 0x50001, 0x06, 0, 0, 0x7FFF0000
))
program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", 4, ctypes.addressof(rules)))
libc = ctypes.CDLL(None)
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, program) == 0
"""


def test_one_that_shares_the_programs_descriptors_leaves_alone_what_they_become(run: Callable[..., str]):
    run(f"""
import socket
{SHARED_TABLE}
{OWN_WATCHDOG}
def listens(fd):
    with socket.socket(fileno=os.dup(fd)) as one:
        return one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
(its,) = [fd for fd in its if os.readlink(f"/proc/self/fd/{{fd}}").startswith("socket:") and listens(fd)]
g.sleep(0.01)  # from here on it looks at its descriptors often
listener = socket.create_server(("127.0.0.1", 0))
os.dup2(listener.fileno(), its)
client = socket.create_connection(listener.getsockname())
time.sleep(0.2)
listener.settimeout(1)
listener.accept()[0].send(b"x")
assert client.recv(1) == b"x"
""")


@pytest.mark.parametrize("table", ["", SHARED_TABLE], ids=["own", "shared"])
@pytest.mark.parametrize("gone", ["closed", "none left"])
def test_it_sleeps_on_when_descriptors_are_gone(
    gone: str, table: str, start: Callable[..., subprocess.Popen[str]], trace_directory: Path
):
    child = start(f"""
import resource
{table}
{OWN_WATCHDOG}
g.sleep(0.01)
if "{gone}" == "closed":
    for fd in its:
        os.close(fd)
else:
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, 64))
print("there", flush=True)
sys.stdin.readline()
before = time.process_time()
time.sleep(0.5)
print(time.process_time() - before, flush=True)
os._exit(0)
""")
    assert line(child) == "there"
    with socket.socket(socket.AF_UNIX) as client:
        if gone == "none left":
            client.connect(str(trace_directory / f"{child.pid}.sock"))
        out, err = child.communicate("go\n", timeout=30)
    assert float(out) < 0.25, err


# Snapshots.


def kept(directory: Path) -> dict[str, int]:
    """The snapshots' reasons, by what their names say."""
    found = {}
    for path in (directory / "snapshots").glob("*.gsr"):
        with closing(RingReader(path)) as reader:
            assert reader.read(1 << 20)
            assert reader.greenlets()
            found[path.name.split("-", 2)[2].rsplit("-", 1)[0]] = reader.info.snapshot_reason
    return found


@pytest.mark.parametrize("code", ["g.sleep(60)", "ctypes.PyDLL(None).sleep(60)"])
def test_SIGUSR2_makes_a_snapshot_and_says_where_also_while_the_hub_is_blocked(
    code: str, start: Callable[..., subprocess.Popen[str]], trace_directory: Path
):
    child = start(f"g.sleep(0.01); print('ready', flush=True); {code}")
    assert line(child) == "ready"
    child.send_signal(signal.SIGUSR2)
    assert child.stderr is not None
    said = child.stderr.readline()
    assert said.startswith(f"greenscope: snapshot {trace_directory}/snapshots/{child.pid}-1-signal-")
    assert kept(trace_directory) == {"signal": Snapshot.SIGNAL}


def test_a_programs_own_handler_of_SIGUSR2_is_its_own(run: Callable[..., str], trace_directory: Path):
    before = "import signal\nsignal.signal(signal.SIGUSR2, lambda *_: print('mine'))\n"
    after = "g.sleep(0.01)\nos.kill(os.getpid(), signal.SIGUSR2)\ng.sleep(0.1)\n"
    assert run(before + after) == "mine\n"
    assert run("g.sleep(0.01)\n" + before + after) == "mine\n"
    assert kept(trace_directory) == {}


def test_an_exception_that_no_greenlet_catches_makes_one_snapshot_however_often(
    run: Callable[..., str], trace_directory: Path
):
    run("""
sys.stderr = open(os.devnull, "w")
def bad():
    raise ValueError("bad")
for _ in range(200):
    g.spawn(bad).join()
g.sleep(0.2)
""")
    assert kept(trace_directory) == {"exception": Snapshot.EXCEPTION}
    assert len(list((trace_directory / "snapshots").iterdir())) == 1


@pytest.mark.parametrize(
    ("code", "name", "reason"),
    [
        ("g.sleep(0.01)\nraise ValueError('bad')", "exception", Snapshot.EXCEPTION),
        ("g.sleep(0.01)\nEvent().wait()", "loop-exit", Snapshot.LOOP_EXIT),
    ],
)
def test_the_end_of_the_program_by_an_exception_makes_a_snapshot(
    code: str, name: str, reason: Snapshot, start: Callable[..., subprocess.Popen[str]], trace_directory: Path
):
    child = start(code)
    child.communicate(timeout=30)
    assert child.returncode == 1
    assert kept(trace_directory)[name] == reason


def test_a_stall_that_lasts_makes_a_snapshot_that_has_it(run: Callable[..., str], trace_directory: Path):
    run("g.sleep(0.01)\nspin(0.8)\ng.sleep(0.01)", GREENSCOPE_SNAPSHOT_STALL_MS="300")
    assert kept(trace_directory) == {"stall": Snapshot.STALL}
    ((began, ended),) = stalls(trace_directory / "snapshots")
    assert functions(began) == ["spin", "<module>"]
    assert ended is None


def test_only_the_newest_snapshots_are_kept(start: Callable[..., subprocess.Popen[str]], trace_directory: Path):
    child = start("g.sleep(0.01); print('ready', flush=True); g.sleep(60)", GREENSCOPE_SNAPSHOTS="2")
    assert line(child) == "ready"
    paths = []
    for _ in range(4):
        (made,) = ask(trace_directory, child.pid, "snapshot")["snapshots"]
        paths.append(Path(made["path"]).name)
        time.sleep(0.02)
    assert sorted(path.name for path in (trace_directory / "snapshots").iterdir()) == sorted(paths[2:])


def test_a_fork_does_not_wait_for_a_snapshot(run: Callable[..., str], trace_directory: Path):
    assert (
        run(
            """
import glob
from greenscope.trace import mark
g.sleep(0.01)
for _ in range(600_000):
    mark("x" * 150)
unnamed = os.environ["GREENSCOPE_DIR"] + "/snapshots/*.new"
named = os.environ["GREENSCOPE_DIR"] + "/snapshots/*.gsr"
os.kill(os.getpid(), signal.SIGUSR2)
while not glob.glob(unnamed):
    pass
if os.fork() == 0:
    os._exit(0)
print("forked", len(glob.glob(named)))
os.wait()
while not glob.glob(named):
    time.sleep(0.01)
""",
            GREENSCOPE_RING_MB="128",
        )
        == "forked 0\n"
    )
    (snapshot,) = trace_directory.glob("snapshots/*.gsr")
    with closing(RingReader(snapshot)) as reader:
        assert reader.head > 3_600_000
