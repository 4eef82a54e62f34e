"""Where rings go, and that a program never fails for want of its trace."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from greenscope.errors import GreenscopeError
from greenscope.trace import ring_opening
from greenscope.trace.reader import RingReader
from greenscope.trace.recorder import Recorder, open_recorder
from greenscope.trace.recorder import trace_directory as directory_of_rings


def opened() -> Recorder:
    return open_recorder(1, "MainThread")


def test_a_ring_is_its_owners_alone(trace_directory: Path) -> None:
    path = opened().path
    assert path is not None
    assert path.parent == trace_directory
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_greenscope_0_records_nothing_and_makes_nothing(trace_directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GREENSCOPE", "0")
    recorder = opened()
    assert recorder.spawn(1, 2, 3, 4) == 0
    recorder.park(1, 2, 3, 4, b"")
    assert recorder.path is None
    assert recorder.current == 0
    assert not trace_directory.exists()


def test_a_directory_that_is_open_to_others_is_not_used(
    trace_directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trace_directory.mkdir()
    trace_directory.chmod(0o755)
    recorder = opened()
    recorder.poll_begin(1)
    assert recorder.path is None
    assert "is open to others (mode 755); chmod 700" in capsys.readouterr().err


def test_a_place_that_cannot_be_used_means_recording_into_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("GREENSCOPE_DIR", str(tmp_path / "file" / "under"))
    assert opened().path is None
    assert "Not a directory" in capsys.readouterr().err


@pytest.mark.parametrize("megabytes", ["0", "-3", "much", "1.5", "999999"])
def test_a_ring_size_that_makes_no_sense_is_said_with_its_value(
    megabytes: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GREENSCOPE_RING_MB", megabytes)
    assert opened().path is None
    assert f"GREENSCOPE_RING_MB is {megabytes!r}" in capsys.readouterr().err


def test_the_ring_is_as_large_as_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GREENSCOPE_RING_MB", "1")
    path = opened().path
    assert path is not None
    with contextlib.closing(RingReader(path)) as reader:
        assert reader.info.event_capacity == 32768


def test_the_trace_directory_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("GREENSCOPE_DIR")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert directory_of_rings(create=False) == tmp_path / "greenscope"
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "missing"))
    assert directory_of_rings(create=False).name == f"greenscope-{os.getuid()}"


def test_a_directory_of_somebody_else_is_refused(monkeypatch: pytest.MonkeyPatch, trace_directory: Path) -> None:
    trace_directory.mkdir(mode=0o700)
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    with pytest.raises(GreenscopeError, match="is not yours"):
        directory_of_rings()


def test_a_name_that_is_taken_is_left_to_who_has_it(trace_directory: Path) -> None:
    """By a dead process of this number, or by a living one of another container."""
    trace_directory.mkdir(mode=0o700)
    taken = trace_directory / f"{os.getpid()}-1.gsr"
    taken.write_text("theirs")
    path = opened().path
    assert taken.read_text() == "theirs"
    assert path is not None
    assert path.match(f"{os.getpid()}-1-*.gsr")
    assert list(trace_directory.glob("*.new")) == []


def test_a_directory_that_is_named_from_here_stays_when_the_program_goes_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GREENSCOPE_DIR", "rings")
    path = opened().path
    monkeypatch.chdir("/")
    assert path is not None
    assert path.exists()


def test_a_stderr_that_is_gone_is_no_reason_to_fail(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("GREENSCOPE_DIR", str(tmp_path / "file"))
    for gone in (None, io.StringIO()):
        if gone is not None:
            gone.close()
        monkeypatch.setattr(sys, "stderr", gone)
        monkeypatch.setattr(ring_opening, "_said", set())
        assert opened().path is None


@pytest.mark.parametrize("gone", ["sys.stderr = None", "sys.stderr.close()"])
def test_nor_is_it_where_the_watchdog_or_a_level_has_something_to_say(gone: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; {gone}; import greenscope.runtime as g; g.sleep(0); print('there')"],
        env={**os.environ, "GREENSCOPE_STALL_MS": "soon", "GREENSCOPE_DETAIL": "all"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.returncode) == ("there\n", 0)


def test_a_closed_recorder_has_ended_and_writes_no_more() -> None:
    recorder = opened()
    recorder.poll_begin(1)
    recorder.close()
    recorder.close()
    recorder.poll_end(1)
    assert recorder.path is not None
    with contextlib.closing(RingReader(recorder.path)) as reader:
        assert (reader.state(), reader.head) == ("ended", 1)


OPENING = """
import sys, threading
from greenscope.trace import set_detail
from greenscope.trace.recorder import open_recorder
sys.setswitchinterval(1e-6)
recorders = [open_recorder(hub, "MainThread") for hub in range(1, 21)]
def open_and_close():
    for hub in range(21, 321):
        open_recorder(hub, "other").close()
other = threading.Thread(target=open_and_close)
other.start()
while other.is_alive():
    set_detail("io")
    set_detail("switch")
"""


def test_the_level_may_be_changed_while_another_thread_begins_a_hub() -> None:
    done = subprocess.run([sys.executable, "-c", OPENING], capture_output=True, text=True, check=False)
    assert (done.stderr, done.returncode) == ("", 0)


FORK = """
import os, sys
from greenscope.trace.recorder import open_recorder
recorder = open_recorder(1, "MainThread")
recorder.poll_begin(1)
child = os.fork()
if child == 0:
    recorder.poll_end(7)  # into nothing: the ring is the parent's
    other = open_recorder(1, "MainThread")
    other.poll_end(9)
    print(other.path, flush=True)
    os._exit(0)
os.waitpid(child, 0)
print(recorder.path, flush=True)
os._exit(0)
"""


def test_a_forked_child_leaves_the_parents_ring_alone_and_gets_its_own() -> None:
    done = subprocess.run([sys.executable, "-c", FORK], capture_output=True, text=True, check=True)
    child, parent = map(Path, done.stdout.split())
    assert child != parent
    for path in (child, parent):
        with contextlib.closing(RingReader(path)) as reader:
            assert (reader.head, reader.state()) == (1, "died")


FORK_WITHOUT_DESCRIPTORS = """
import os, sys
from greenscope.trace.recorder import open_recorder
recorders = [open_recorder(hub, "MainThread") for hub in (1, 2)]
os.closerange(3, 256)
mine = [os.open(os.devnull, os.O_RDONLY) for _ in range(64)]
child = os.fork()
if child == 0:
    for recorder in recorders:
        recorder.poll_end(7)  # into nothing: the ring is the parent's
    for descriptor in mine:
        os.fstat(descriptor)
    sys.exit()
assert os.waitpid(child, 0)[1] == 0
for recorder in recorders:
    print(recorder.path, flush=True)
os._exit(0)
"""


def test_a_child_of_a_process_that_closed_what_it_does_not_know_closes_nothing_and_leaves_the_rings_alone() -> None:
    done = subprocess.run([sys.executable, "-c", FORK_WITHOUT_DESCRIPTORS], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    for path in map(Path, done.stdout.split()):
        with contextlib.closing(RingReader(path)) as reader:
            assert (reader.head, reader.state()) == (0, "died")


FORK_HOOK = """
import os
os.register_at_fork(after_in_child=lambda: recorder.poll_end(7))  # the first to run
from greenscope.trace.recorder import open_recorder
recorder = open_recorder(1, "MainThread")
child = os.fork()
if child == 0:
    os._exit(0)
os.waitpid(child, 0)
print(recorder.path, flush=True)
os._exit(0)
"""


def test_what_a_child_does_before_it_has_left_the_ring_is_not_recorded() -> None:
    done = subprocess.run([sys.executable, "-c", FORK_HOOK], capture_output=True, text=True, check=True)
    with contextlib.closing(RingReader(Path(done.stdout.strip()))) as reader:
        assert reader.head == 0


ORPHAN = """
import os, sys
from greenscope.trace.recorder import open_recorder
recorder = open_recorder(1, "MainThread")
path = recorder.path
if os.fork() == 0:
    print(path, flush=True)
    sys.stdin.read()
os._exit(0)
"""


def test_a_child_that_outlives_its_parent_does_not_keep_the_parents_ring_alive() -> None:
    with subprocess.Popen([sys.executable, "-c", ORPHAN], stdin=-1, stdout=-1, text=True) as parent:
        assert parent.stdout is not None
        path = Path(parent.stdout.readline().strip())
        parent.wait()
        with contextlib.closing(RingReader(path)) as reader:
            assert reader.state() == "died"
