"""Where a gevent program's recordings begin and end: hubs of threads and forks, the ways in, what keeps them out."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from greenscope.trace.events import Kind, Wait
from tests.integrations.gevent_help import SECONDS, Recording, read, reading, run_gevent

HERE = Path(__file__).parent


def run_python(*arguments: str, directory: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Python, with this greenscope, whose rings go to ``directory``/rings."""
    base = {name: value for name, value in os.environ.items() if not name.startswith("GREENSCOPE")}
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
        env={**base, "GREENSCOPE_DIR": str(directory / "rings"), **environment},
    )


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Those of gevent_life.py, each by the function that ran in it."""
    program = tmp_path_factory.mktemp("life") / "life.py"
    program.write_text((HERE / "gevent_life.py").read_text())
    done, _ = run_gevent(program)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert "Traceback" not in done.stderr
    found = {}
    for path in program.parent.glob("*.gsr"):
        for name in read(path).ever:
            found[name] = path
    return found


def test_the_hubs_of_a_thread_a_fork_and_the_one_after_have_recordings_of_their_own(
    recordings: dict[str, Path],
) -> None:
    names = ("notes", "in_thread", "in_the_fork", "in_the_next_hub")
    assert len({recordings[name] for name in names}) == 4
    for name in names[1:]:
        recording = read(recordings[name])
        assert [event.reason for event in recording.find(Kind.GREENLET_PARK, name)] == [Wait.TIMER]
        assert recording.of(name)[-1] == "exit returned"


def test_a_recording_says_whose_thread_and_process_it_is(recordings: dict[str, Path]) -> None:
    with reading(recordings["notes"]) as main, reading(recordings["in_thread"]) as thread:
        assert (main.info.thread_name, thread.info.thread_name) == ("MainThread", "second")
        assert main.info.pid == thread.info.pid
        with reading(recordings["in_the_fork"]) as fork:
            assert fork.info.pid != main.info.pid


def test_a_hub_that_is_destroyed_is_no_loop_exit(recordings: dict[str, Path]) -> None:
    kinds = {event.kind for path in set(recordings.values()) for event in read(path).events}
    assert Kind.LOOP_EXIT not in kinds


def test_what_the_program_says_itself_is_in_its_greenlets_lane(recordings: dict[str, Path]) -> None:
    said: Recording = read(recordings["notes"])
    ours = [event for event in said.events if said.names.get(event.greenlet) == "by itself"]
    assert [event.text for event in ours if event.kind == Kind.MARK] == ["here"]
    assert [event.text for event in ours if event.kind == Kind.REQUEST_BEGIN] == ["id-1\nGET /"]
    assert [event.aux for event in ours if event.kind == Kind.REQUEST_END] == [200]
    assert {Kind.SPAN_BEGIN, Kind.SPAN_END} <= {event.kind for event in ours}


AUTO = """
import greenscope.auto
import gevent, greenlet
gevent.sleep(0)
print(gevent.config.loop.__mro__[1].__name__, greenlet.gettrace() is not None)
"""


def test_the_import_records_where_it_is_asked_to_and_does_nothing_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(AUTO)
    for value, recorded in (("1", True), ("0", False), ("", False)):
        done = run_python(str(tmp_path / "app.py"), directory=tmp_path, GREENSCOPE=value)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.split() == ["Loop" if recorded else "object", str(recorded)]
        assert len(list(tmp_path.glob("rings/*.gsr"))) == 1
    with reading(next(tmp_path.glob("rings/*.gsr"))) as ring:
        assert ring.info.argv[-1].endswith("app.py")


def test_nothing_is_installed_where_nothing_is_to_be_recorded(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(AUTO.replace("import greenscope.auto\n", ""))
    done = run_python(
        "-m", "greenscope.integrations.gevent", str(tmp_path / "app.py"), directory=tmp_path, GREENSCOPE="0"
    )
    assert (done.stdout.split(), done.stderr) == (["object", "False"], "")
    assert not list(tmp_path.glob("rings/*"))


LATE = "import gevent\ngevent.get_hub()\nimport greenscope.auto\nprint('runs')\n"


def test_a_program_that_has_a_hub_already_gets_one_line_and_runs(tmp_path: Path) -> None:
    (tmp_path / "late.py").write_text(LATE)
    done = run_python(str(tmp_path / "late.py"), directory=tmp_path, GREENSCOPE="1")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (0, "runs\n", 1)
    assert "import greenscope.auto first" in done.stderr


@pytest.mark.parametrize(
    ("python", "environment", "said"),
    [
        (("-S",), {"PYTHONPATH": str(HERE.parent.parent)}, "gevent is not installed"),
        ((), {"GEVENT_LOOP": "libev-cffi"}, "cannot be followed: unset GEVENT_LOOP"),
    ],
    ids=["no gevent", "another loop"],
)
def test_what_cannot_be_followed_is_one_line(
    python: tuple[str, ...], environment: dict[str, str], said: str, tmp_path: Path
) -> None:
    (tmp_path / "app.py").write_text("print('runs')\n")
    done = run_python(
        *python, "-m", "greenscope.integrations.gevent", str(tmp_path / "app.py"), directory=tmp_path, **environment
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert said in done.stderr


CHAINED = """
import greenlet
heard = []
def earlier(event, greenlets):
    heard.append(event)
    if len(heard) == 3:
        raise ValueError("a tracer that fails")
greenlet.settrace(earlier)
import gevent
for _ in range(5):
    gevent.sleep(0)
print(len(heard), greenlet.gettrace().__name__)
"""


def test_an_earlier_tracer_is_called_too_and_may_fail(tmp_path: Path) -> None:
    program = tmp_path / "chained.py"
    program.write_text(CHAINED.lstrip())
    done, output = run_gevent(program)
    assert (done.returncode, done.stdout) == (0, "3 switched\n")
    assert "a tracer that fails" in done.stderr
    parks = read(output).find(Kind.GREENLET_PARK, "main")
    assert [event.reason for event in parks] == [Wait.YIELD] * 5


PATCHED = """
from gevent import monkey
monkey.patch_all()
import queue, threading, time
lock = threading.Lock()
things = queue.Queue()
def holds():
    with lock:
        time.sleep(0.01)
    things.put(1)
def waits():
    with lock:
        pass
threads = [threading.Thread(target=each) for each in (holds, waits)]
for thread in threads:
    thread.start()
things.get()
for thread in threads:
    thread.join()
"""


def test_a_patched_program_waits_for_locks_queues_and_sleeps(tmp_path: Path) -> None:
    program = tmp_path / "patched.py"
    program.write_text(PATCHED.lstrip())
    done, output = run_gevent(program)
    assert done.returncode == 0, done.stderr
    recording = read(output)
    waits = {
        (Wait(event.reason), recording.lines.get(place))
        for place, event in enumerate(recording.events)
        if event.kind == Kind.GREENLET_PARK
    }
    assert {
        (Wait.TIMER, "patched.py:8"),
        (Wait.LOCK, "patched.py:11"),
    } <= waits
    acquired = [event for event in recording.events if event.kind == Kind.RESOURCE_ACQUIRE]
    locked = [
        event
        for place, event in enumerate(recording.events)
        if event.kind == Kind.GREENLET_PARK and recording.lines.get(place) == "patched.py:11"
    ]
    assert [event.aux for event in locked] == [
        event.greenlet for event in acquired if any(event.arg == lock.arg for lock in locked)
    ]
