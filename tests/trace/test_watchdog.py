"""The watchdog, in processes of its own: what it takes for a stall, what it says, and when it keeps quiet."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from greenscope.trace.events import Blocked
from tests.trace.watched import BEGIN, functions, line, stalls, wait_for

if sys.platform != "linux":
    pytest.skip("the watchdog reads what Linux has", allow_module_level=True)

pytestmark = pytest.mark.usefixtures("default_stalls")

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
