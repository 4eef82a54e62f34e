"""The snapshots that the watchdog makes by itself, and those that are asked for by a signal."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from greenscope.trace.events import Snapshot
from greenscope.trace.reader import RingReader
from greenscope.trace.stacks import ask
from tests.trace.watched import functions, line, stalls

if sys.platform != "linux":
    pytest.skip("the watchdog reads what Linux has", allow_module_level=True)

pytestmark = pytest.mark.usefixtures("default_stalls")


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
