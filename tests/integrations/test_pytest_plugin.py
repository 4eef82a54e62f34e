"""``pytest --greenscope`` in real pytest processes: what its reports say of failures, timeouts, leaks; what stays."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from greenscope.trace.events import Kind
from greenscope.trace.reader import RingReader
from greenscope.trace.records import Event

pytest_plugins = ["pytester"]

SECTIONS = ("greenscope: what was wrong", "greenscope: greenlets, and what they wait for", "greenscope: recording")

PROJECT = '''
import subprocess
import sys

import pytest
import greenscope.runtime as g
from greenscope.runtime import socket
from greenscope.runtime.queue import Queue
from greenscope.runtime.server import StreamServer
from greenscope.trace import mark

kept = []


def reader(queue):
    return queue.get()


def echo(connection, address):
    while data := connection.recv(100):
        connection.sendall(data)


@pytest.fixture(scope="session")
def server():
    """Stays until the end, with its greenlet and its socket, and is no test's."""
    server = StreamServer(("127.0.0.1", 0), echo)
    server.start()
    yield server
    server.stop()


def test_passes(server):
    mark("of a test that passes")
    with socket.create_connection(server.address) as client:
        client.sendall(b"hello")
        assert client.recv(100) == b"hello"
    subprocess.run([sys.executable, "-c", "import greenscope.runtime as g; g.sleep(0)"], check=True)


def test_fails(server):
    mark("of a test that fails")
    one = g.spawn(reader, Queue())
    g.sleep(0.01)
    try:
        assert one.ready()
    finally:
        kept.append(one)


@pytest.fixture
def broken():
    one = g.spawn(reader, Queue())
    kept.append(one)
    g.sleep(0)
    raise OSError("the fixture is broken")


def test_whose_fixture_fails(broken):
    pass


@pytest.mark.timeout(1, method="signal")
def test_that_hangs():
    g.Event().wait()


@pytest.mark.timeout(1, method="signal")
def test_whose_greenlet_never_ends():
    def spins():
        while True:
            pass
    g.spawn(spins)
    g.sleep(0)


def test_whose_program_waits_for_ever():
    subprocess.run([sys.executable, "-c", "import greenscope.runtime as g; g.Event().wait()"], check=True)


@pytest.mark.xfail(strict=True)
def test_that_is_known_to_fail():
    assert not g.sleep(0) is None


def test_that_leaves_a_greenlet():
    g.spawn(reader, Queue())
    g.sleep(0)


def test_that_leaves_a_socket():
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    kept.append(listener)


def test_that_leaves_a_watcher():
    timer = g.get_hub().loop.timer(100)
    timer.start(print)


def test_that_leaves_a_timeout():
    g.Timeout.start_new(100)


def test_that_leaves_nothing(server):
    client = socket.create_connection(server.address)
    g.spawn(client.recv, 1)
    g.sleep(0)
    never_started = g.Greenlet(print)
    client.close()
    timer = g.get_hub().loop.timer(100)
    timer.start(print)
    timer.close()
    with g.Timeout(100):
        g.sleep(0)
'''

PATCHED = """
import warnings
from greenscope.runtime import monkey
with warnings.catch_warnings(action="ignore"):  # pytest itself has taken time.sleep, and may keep it
    monkey.patch_all()
"""

PATCHED_PROJECT = '''
import queue
import socket
import threading
import time

import pytest


def test_passes():
    time.sleep(0.01)


def test_that_hangs_in_a_thread():
    """What the thread waits for is in the report, and waiting for that has let nobody run."""
    reached = []
    thread = threading.Thread(target=lambda: (queue.Queue().get(timeout=60), reached.append(1)), daemon=True)
    thread.start()
    time.sleep(0.01)
    assert reached


@pytest.mark.timeout(1, method="thread")
def test_that_is_ended_by_a_thread():
    socket.create_server(("127.0.0.1", 0)).accept()
'''


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    monkeypatch.delenv("GREENSCOPE_DIR")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).resolve().parents[2]))
    pytester.makeini("[pytest]\nfilterwarnings = error\n")
    return pytester


SMALL = "import greenscope.runtime as g\ndef test_passes(): g.sleep(0)\ndef test_fails(): 1 / g.sleep(0)"


def run(project: pytest.Pytester, *options: str) -> pytest.RunResult:
    common = ("-p", "no:cacheprovider", "-p", "no:playwright", "--greenscope-dir", str(project.path / "kept"))
    return project.runpytest_subprocess(*common, *options, timeout=120)


def reports(result: pytest.RunResult) -> dict[str, str]:
    """The reports of what failed, by the test's name."""
    parts = re.split(r"^_{3,} (?:ERROR at \w+ of )?(\w+) _{3,}$", result.stdout.str(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def recordings(report: str) -> list[Path]:
    """The files that a report names."""
    return [Path(line) for line in re.findall(r"^/\S+\.gsr$", report, re.MULTILINE)]


def marks(path: Path) -> list[str]:
    with closing(RingReader(path)) as reader:
        return [event.text for event in reader.read() if isinstance(event, Event) and event.kind == Kind.MARK]


@pytest.mark.usefixtures("default_stalls")
def test_what_fails_hangs_or_leaks_is_reported_with_its_recording(project: pytest.Pytester) -> None:
    project.makepyfile(test_it=PROJECT)
    result = run(project, "--greenscope-leaks")
    result.assert_outcomes(passed=6, failed=4, errors=5, xfailed=1)
    told = reports(result)
    leaks = {"test_that_leaves_a_greenlet", "test_that_leaves_a_socket", "test_that_leaves_a_watcher",
             "test_that_leaves_a_timeout"}  # fmt: skip
    assert set(told) == leaks | {
        "test_fails", "test_whose_fixture_fails", "test_that_hangs", "test_whose_greenlet_never_ends",
        "test_whose_program_waits_for_ever",
    }  # fmt: skip
    for report in told.values():
        assert all(f" {title} " in report for title in SECTIONS), report
        assert all(path.exists() for path in recordings(report)) and recordings(report)
    line = r"at \S+test_it\.py:\d+"

    # A failure: its own ring and no other test's, and who waited for what.
    assert re.search(rf"reader #\d+: waiting on queue \d+ for .*, {line} reader", told["test_fails"])
    (path,) = recordings(told["test_fails"])
    (first, second) = marks(path)
    assert first.endswith("::test_fails") and second == "of a test that fails"
    assert re.search(r"reader #\d+: waiting on queue", told["test_whose_fixture_fails"])

    # Timeouts: as it was then, before the exception unwound what hung.
    assert re.search(rf"main: waiting on event \d+ for .*, {line} test_that_hangs", told["test_that_hangs"])
    assert "Failed: Timeout" in told["test_that_hangs"]
    spinning = told["test_whose_greenlet_never_ends"]
    assert "Failed: Timeout" in spinning
    assert re.search(r"critical: hub-blocked\n  .*spins.* kept the hub for ", spinning), spinning
    assert "/_pytest/" not in spinning.partition(SECTIONS[0])[2]

    # A program that the test started.
    waits = told["test_whose_program_waits_for_ever"]
    assert "critical: loop-exit" in waits and len(recordings(waits)) == 2

    # Leaks, each with its line.
    made = {
        "test_that_leaves_a_greenlet": rf"greenlet reader #\d+, which waits for an item of a queue {line}, made {line}",
        "test_that_leaves_a_socket": rf"socket on fd \d+ at 127\.0\.0\.1:\d+, made {line}",
        "test_that_leaves_a_watcher": rf"watcher of timer of 100 s, made {line}",
        "test_that_leaves_a_timeout": rf"timeout of 100 seconds, which was not cancelled, made {line}",
    }
    for name in leaks:
        left = told[name].split("left behind:\n")[1].split("\n---")[0]
        assert re.fullmatch(f"  {made[name]} in {name}", left), left

    # What is there afterwards: those recordings, and nothing else.
    (kept,) = (project.path / "kept").iterdir()
    assert {path.parent for report in told.values() for path in recordings(report)} == set(kept.iterdir())
    assert len(re.findall(rf"^greenscope serve {kept}/", result.stdout.str(), re.MULTILINE)) == len(told)


def test_under_patching_with_threads_and_processes_of_xdist(project: pytest.Pytester) -> None:
    project.makeconftest(PATCHED)
    project.makepyfile(test_it=PATCHED_PROJECT)
    hung = run(project, "--greenscope", "-k", "hangs or passes", "-n", "2")
    hung.assert_outcomes(passed=1, failed=1)
    (report,) = reports(hung).values()
    assert all(f" {title} " in report for title in SECTIONS), report
    assert re.search(r"waiting on (queue|lock) \d+ for \d.*, until in .*, at ", report), report
    (path,) = recordings(report)
    assert path.exists() and path.parent.name == "test_it.py_test_that_hangs_in_a_thread"
    (kept,) = (project.path / "kept").iterdir()
    assert list(kept.iterdir()) == [path.parent]

    ended = run(project, "--greenscope", "-k", "ended")
    assert ended.ret == 1
    text = ended.stderr.str()
    assert all(f" {title} " in text for title in SECTIONS), text
    assert re.search(r"main: waiting on (read )?fd \d+.* test_that_is_ended_by_a_thread", text), text
    assert all(path.exists() for path in recordings(text)) and recordings(text)


def test_runs_that_pass_leave_nothing_and_of_those_that_fail_the_last_are_kept(project: pytest.Pytester) -> None:
    project.makepyfile(test_it=SMALL)
    passed = run(project, "--greenscope", "-k", "passes")
    assert passed.ret == 0 and "greenscope: recordings of failed tests in" in passed.stdout.str()
    kept = project.path / "kept"
    assert list(kept.iterdir()) == []
    for number in range(7):
        (kept / f"run-20200101-00000{number}-{4194305 + number}").mkdir()  # no process has such a number
    (kept / f"run-20200101-000000-{os.getpid()}").mkdir()
    (kept / "somebody's").mkdir()
    assert run(project, "--greenscope").ret == 1
    names = sorted(path.name for path in kept.iterdir())
    assert names[:1] == [f"run-20200101-000000-{os.getpid()}"]  # which lives
    assert [name[:19] for name in names[1:5]] == [f"run-20200101-00000{number}" for number in (3, 4, 5, 6)]
    assert len(names) == 7 and "somebody's" in names


def test_without_its_options_it_does_and_imports_nothing(project: pytest.Pytester) -> None:
    project.makepyfile("""
        import os, sys
        def test_it():
            assert "greenscope.integrations.pytest_plugin" in sys.modules
            ours = {name for name in sys.modules if name.startswith("greenscope")}
            assert ours == {"greenscope", "greenscope.integrations", "greenscope.integrations.pytest_plugin"}
            assert "numpy" not in sys.modules and "pyuv" not in sys.modules and "GREENSCOPE_DIR" not in os.environ

        def test_the_runtimes_asserts_are_not_rewritten():
            import greenscope.runtime.hub as hub
            assert not any(name.startswith("@py") for name in vars(hub))
    """)
    run(project).assert_outcomes(passed=2)
    # Nor is it wrong to have imported it before: where pytest finds our files listed, it would warn.
    begins = "import pytest, greenscope.runtime.hub; pytest.main(['--collect-only', '-q', 'tests/test_layers.py'])"
    command = [sys.executable, "-W", "error", "-c", begins]
    here = Path(__file__).resolve().parents[2]
    done = subprocess.run(command, cwd=here, capture_output=True, text=True, timeout=60, check=True)
    assert "test_layers.py" in done.stdout and "Rewrite" not in done.stdout + done.stderr, done.stdout + done.stderr
    assert not (project.path / "kept").exists()


def test_where_nothing_is_recorded_the_report_says_so(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GREENSCOPE", "0")
    project.makepyfile(test_it=SMALL)
    result = run(project, "--greenscope")
    assert "GREENSCOPE=0 is set, so there will be none" in result.stdout.str()
    assert "nothing was recorded" in result.stdout.str()
    result.assert_outcomes(passed=1, failed=1)
    wrong = project.runpytest_subprocess("--greenscope", "--greenscope-dir", "/dev/null/x", timeout=60)
    assert wrong.ret == pytest.ExitCode.USAGE_ERROR
    assert re.search(r"ERROR: --greenscope-dir: .*/dev/null/x", wrong.stderr.str()), wrong.stderr.str()


def test_the_interpreter_that_runs_this_is_the_one_with_the_entry_point() -> None:
    from importlib.metadata import entry_points

    found = {entry.value for entry in entry_points(group="pytest11") if entry.name == "greenscope"}
    assert found == {"greenscope.integrations.pytest_plugin"}, f"`make build` again, for {sys.executable}"
