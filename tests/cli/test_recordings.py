"""snapshot, events and info as a user types them, and every command that takes a file with files that are none."""

from __future__ import annotations

import contextlib
import errno
import importlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest

from greenscope.cli import cli
from greenscope.trace.reader import RingReader
from greenscope.trace.ring_layout import HEADER, write_field
from tests.trace.rings import begin, new_ring

record = importlib.import_module("greenscope.cli.record")  # the package's attribute of that name is the command
DOCS = Path(__file__).resolve().parents[2] / "docs"
COMMAND = (sys.executable, "-m", "greenscope")

PROGRAM = """
import sys, threading
from greenscope import trace
from greenscope.runtime import Timeout, sleep, socket, spawn

def talk():
    one, other = socket.socketpair()
    helper = spawn(other.sendall, b"x")
    one.recv(1)  # here
    helper.join()
    with trace.span("a step"):
        trace.mark("a mark")
    one.close(), other.close()

spawn(talk).join()
def second():
    spawn(sleep, 0).join()
    print("ready", flush=True)
    sys.stdin.read()
threading.Thread(target=second, name="second").start()
"""


def greenscope(*args: object) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run([*COMMAND, *map(str, args)], capture_output=True, text=True, timeout=60)


@contextlib.contextmanager
def program(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process with two hubs that waits for the end of its input."""
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    with subprocess.Popen([sys.executable, path], stdin=-1, stdout=-1, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        try:
            yield child
        finally:
            child.kill()


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("recording")
    (directory / "program.py").write_text(PROGRAM.partition("def second")[0])
    assert greenscope("record", "-o", directory / "a.gsr", directory / "program.py").returncode == 0
    return directory / "a.gsr"


# -- snapshot --------------------------------------------------------------------------------------


def test_snapshot_copies_every_hub_of_a_process_that_runs_and_of_one_that_was_killed(tmp_path: Path) -> None:
    with program(tmp_path) as child:
        for output, state in (("live.gsr", "snapshot"), ("dead.gsr", "died")):
            done = greenscope("snapshot", child.pid, "-o", tmp_path / output)
            assert done.returncode == 0, done.stderr
            assert f"greenscope serve {tmp_path / output}" in done.stderr
            threads = []
            for path in (tmp_path / output, (tmp_path / output).with_stem(f"{output[:4]}-2")):
                with contextlib.closing(RingReader(path)) as reader:
                    threads.append(reader.info.thread_name)
                    assert reader.state() == state
                    assert reader.info.pid == child.pid
            assert threads == ["MainThread", "second"]
            child.send_signal(signal.SIGKILL)
            child.wait()


def test_snapshot_says_what_there_is_when_there_is_no_such_process(tmp_path: Path) -> None:
    with program(tmp_path) as child:
        done = greenscope("snapshot", 1, "-o", tmp_path / "a.gsr")
        assert done.returncode == 2
        assert re.fullmatch(rf"greenscope: process 1 has no ring .*{child.pid} .*\n", done.stderr)
        done = greenscope("snapshot", child.pid, "-o", tmp_path / "nowhere" / "a.gsr")
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
        assert "No such file or directory" in done.stderr


def test_info_and_events_take_a_processs_number_for_its_ring_if_it_has_one(tmp_path: Path) -> None:
    scripts = tmp_path / "scripts"  # not beside the trace directory, which is called as the package is
    scripts.mkdir()
    script = scripts / "one.py"
    script.write_text("from greenscope.runtime import sleep; sleep(0.001); print('ready', flush=True); input()")
    with subprocess.Popen([sys.executable, script], stdin=-1, stdout=-1, text=True) as child:
        assert child.stdout is not None and child.stdout.readline() == "ready\n"
        assert json.loads(greenscope("info", child.pid, "--json").stdout)["pid"] == child.pid
        assert "greenlet_park" in greenscope("events", child.pid).stdout
        child.communicate("\n", timeout=60)
    with program(scripts) as child:
        done = greenscope("info", child.pid)
        assert (done.returncode, done.stdout) == (2, "")
        assert re.fullmatch(
            rf"greenscope: process {child.pid} has 2 rings, one a hub; give one of \S+{child.pid}-1.gsr, \S+-2.gsr\n",
            done.stderr,
        )


def test_snapshot_of_a_damaged_ring_is_one_clear_line_and_leaves_nothing(tmp_path: Path, trace_directory: Path) -> None:
    trace_directory.mkdir(mode=0o700)
    spoiled(pid=77, string_size=1 << 40)(trace_directory / "77-1.gsr")
    done = greenscope("snapshot", 77, "-o", tmp_path / "a.gsr")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "string_size is 1099511627776" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == [trace_directory.name]


def test_record_keeps_the_ring_itself_where_there_is_no_space_for_a_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    (tmp_path / "rings").mkdir()
    ring, file = new_ring("c", tmp_path / "rings" / "1-1.gsr")
    begin(ring)
    ring.detach()
    file.release()
    before = (tmp_path / "rings" / "1-1.gsr").read_bytes()
    monkeypatch.setattr(record, "snapshot", full)
    assert record._keep(tmp_path / "rings", tmp_path / "a.gsr", 1 << 61) == [tmp_path / "a.gsr"]
    assert (tmp_path / "a.gsr").read_bytes() == before


# -- events ----------------------------------------------------------------------------------------


def test_events_are_lines_that_say_when_who_what_why_and_where(recording: Path) -> None:
    lines = greenscope("events", recording).stdout.splitlines()
    line = next(number for number, text in enumerate(PROGRAM.splitlines(), start=1) if "# here" in text)
    park = next(text for text in lines if "greenlet_park    read" in text and "talk" in text)
    assert re.fullmatch(
        rf" +\d+\.\d{{6}}  talk #3 +greenlet_park +read +resource \d+  fd \d+ .*program.py:{line} talk", park
    )
    assert any("mark" in text and "a mark" in text for text in lines)
    assert any("span_begin" in text and "called a step" in text for text in lines)
    assert any("greenlet_spawn" in text and "talk #3" in text and "by main" in text for text in lines)


def test_events_are_chosen_by_greenlet_kind_and_time(recording: Path) -> None:
    def events(*options: object) -> list[dict[str, object]]:
        done = greenscope("events", recording, "--json", *options)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    everything = events()
    times = [event["time_ns"] for event in everything]
    parks = [event for event in everything if event["kind"] == "greenlet_park"]
    assert events("--kind", "greenlet_park") == parks
    assert events("--kind", "greenlet_park", "--kind", "greenlet_exit") == [
        event for event in everything if event["kind"] in ("greenlet_park", "greenlet_exit")
    ]
    mine = [event for event in everything if event["greenlet"] == 3]
    assert events("--greenlet", "3") == events("--greenlet", "talk") == events("--greenlet", "talk #3") == mine
    middle = times[len(times) // 2]
    earlier, later = events("--to", f"{middle}ns"), events("--from", f"{middle}ns")
    assert earlier + later == everything
    assert earlier[-1]["time_ns"] < middle <= later[0]["time_ns"]  # type: ignore[operator]


def test_losses_are_shown_with_their_number_whatever_is_asked_for(tmp_path: Path) -> None:
    ring, _ = new_ring("c", tmp_path / "a.gsr")
    for _ in range(100):
        ring.poll_begin(0)
    assert greenscope("events", tmp_path / "a.gsr").stdout.startswith("-- 44 records were lost here --\n")
    done = greenscope("events", tmp_path / "a.gsr", "--json", "--kind", "mark")
    assert [json.loads(line) for line in done.stdout.splitlines()] == [{"lost": 44}]


def test_nothing_of_a_recording_controls_the_terminal(tmp_path: Path) -> None:
    ring, _ = new_ring("c", tmp_path / "a.gsr")
    ring.spawn(0, ring.string("red\x1b[31m\nline"), 1, 0)
    for command in ("events", "info"):
        assert not re.search(r"[^\n -~]", greenscope(command, tmp_path / "a.gsr").stdout)


def test_a_closed_pipe_is_no_error(recording: Path) -> None:
    command = f"{sys.executable} -m greenscope events {recording} | head -n 1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=60)
    assert len(done.stdout.splitlines()) == 1
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("time", ["soon", "-1s", "1.5 days", ""])
def test_a_time_that_is_none_is_refused_with_an_example(recording: Path, time: str) -> None:
    done = greenscope("events", recording, f"--from={time}")
    assert done.returncode == 2
    assert "1.5s, 200ms" in done.stderr


# -- info ------------------------------------------------------------------------------------------


def test_info_says_whose_it_is_what_was_lost_and_how_it_ended(tmp_path: Path, recording: Path) -> None:
    text = greenscope("info", recording).stdout
    assert re.search(r"^program +.*program\.py$", text, re.MULTILINE)
    assert re.search(r"^end +ended in good order", text, re.MULTILINE)
    ring, file = new_ring("c", tmp_path / "a.gsr")
    begin(ring)
    for _ in range(100):
        ring.poll_begin(0)
    assert "it is being written" in greenscope("info", tmp_path / "a.gsr").stdout
    file.release()
    text = greenscope("info", tmp_path / "a.gsr").stdout
    assert "died: killed, or crashed; when is not known" in text
    assert "56 of 105, 49 overwritten" in text
    facts = json.loads(greenscope("info", tmp_path / "a.gsr", "--json").stdout)
    assert (facts["state"], facts["records"], facts["records_lost"], facts["greenlets"]) == ("died", 105, 49, 2)


def test_every_field_of_the_json_is_documented(tmp_path: Path, recording: Path) -> None:
    page = (DOCS / "recordings.md").read_text()
    events = greenscope("events", recording, "--json").stdout.splitlines()
    fields = {field for line in events for field in json.loads(line)}
    fields |= set(json.loads(greenscope("info", recording, "--json").stdout))
    assert {field for field in fields if f"`{field}`" not in page} == set()


# -- what is no recording --------------------------------------------------------------------------


def spoiled(**fields: int | bytes) -> Callable[[Path], object]:
    def write(path: Path) -> None:
        new_ring("c", path)
        data = bytearray(path.read_bytes())
        for name, value in fields.items():
            write_field(memoryview(data), name, value)
        path.write_bytes(data)

    return write


def cut(size: int) -> Callable[[Path], object]:
    def write(path: Path) -> None:
        new_ring("c", path)
        os.truncate(path, size)

    return write


PLACES = [
    name for name, (_, code) in HEADER.items() if code == "Q" and name.endswith(("_offset", "_size", "_capacity"))
]
BAD_FILES: dict[str, Callable[[Path], object]] = {
    "missing": lambda path: None,
    "directory": Path.mkdir,
    "fifo": os.mkfifo,
    "empty": Path.touch,
    "text": lambda path: path.write_text("no ring\n" * 1000),
    "zeros": lambda path: path.write_bytes(bytes(10_000)),
    "header cut": cut(4000),
    "sections cut": cut(5000),
    "future": spoiled(version=3),
    "past": spoiled(version=0),
    **{f"{name} is all ones": spoiled(**{name: (1 << 64) - 1}) for name in PLACES},
    "no events": spoiled(event_capacity=0),
    "overflowing": spoiled(string_offset=(1 << 64) - 8, string_size=16),
}
FILE_COMMANDS = ("events", "info", "serve", "ps")


# serve takes a directory.
BAD = [(command, bad) for command in FILE_COMMANDS for bad in BAD_FILES if (command, bad) != ("serve", "directory")]


@pytest.mark.parametrize(("command", "bad"), BAD)
def test_what_is_no_recording_is_one_clear_line_and_exit_code_2(
    tmp_path: Path, command: str, bad: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from greenscope.cli import main

    path = tmp_path / "a.gsr"
    BAD_FILES[bad](path)
    monkeypatch.setattr(sys, "argv", ["greenscope", command, str(path)])
    with pytest.raises(SystemExit) as ended:
        main()
    captured = capsys.readouterr()
    assert ended.value.code == 2
    assert captured.out == ""
    assert re.fullmatch(rf"greenscope: [^\n]*{re.escape(str(path))}[^\n]*\n", captured.err)


# Root may read everything, unless it is told to go without that.
MORTAL = ("setpriv", "--bounding-set=-dac_override,-dac_read_search") if os.getuid() == 0 else ()


@pytest.mark.skipif(
    bool(MORTAL) and shutil.which("setpriv") is None, reason="root may read everything, without setpriv"
)
@pytest.mark.parametrize("command", FILE_COMMANDS)
def test_a_recording_that_must_not_be_read_is_one_clear_line_and_exit_code_2(tmp_path: Path, command: str) -> None:
    path = tmp_path / "a.gsr"
    new_ring("c", path)
    path.chmod(0)
    done = subprocess.run([*MORTAL, *COMMAND, command, path], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert re.fullmatch(rf"greenscope: [^\n]*{re.escape(str(path))}[^\n]*Permission denied[^\n]*\n", done.stderr)


@pytest.mark.parametrize("command", ["events", "info", "ps", "snapshot", "record"])
def test_every_command_has_its_help(command: str) -> None:
    assert cli.get_command(click.Context(cli), command) is not None
    assert greenscope(command, "--help").returncode == 0
