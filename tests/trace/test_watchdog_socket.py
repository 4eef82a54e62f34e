"""The watchdog's socket, asked in processes of their own: what it answers, to whom, and what becomes of it."""

from __future__ import annotations

import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest

from greenscope.trace.stacks import NoAnswerError, ask, stacks_of
from tests.trace.watched import line, stalls, wait_for

if sys.platform != "linux":
    pytest.skip("the watchdog reads what Linux has", allow_module_level=True)

pytestmark = pytest.mark.usefixtures("default_stalls")

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
