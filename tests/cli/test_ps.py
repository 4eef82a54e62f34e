"""``greenscope ps`` as the engineer on call meets it: a service that works, hangs, is stopped, or is dead."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from greenscope.cli.words import duration, printable
from greenscope.trace.events import Spawn
from tests.trace.rings import RingSizes, begin, new_ring
from tests.waiting import until

COMMAND = (sys.executable, "-m", "greenscope", "ps")

SERVICE = """
import ctypes, os, signal, socket as blocking, sys, threading, time
from greenscope.runtime import Event, Semaphore, Timeout, sleep, socket, spawn

def reads(connection):
    connection.recv(1)

def takes(lock):
    lock.acquire()

def with_deadline():
    with Timeout(100):
        Event().wait()

one, other = socket.socketpair()
lock = Semaphore(0)
for function, *args in ((reads, one), (takes, lock), (takes, lock), (with_deadline,)):
    spawn(function, *args)
named = spawn(sleep, 1000)
named.name = "sweeper"
sleep(0.001)

def serve():
    print("ready", flush=True)
    while True:
        sleep(0.001)
"""

WORKS = SERVICE + "serve()"
BLOCKED_IN_C = f"""{SERVICE}
def hog():
    print("ready", flush=True)
    ctypes.CDLL(None).sleep(1000)
spawn(hog).join()
"""
BLOCKED_IN_PYTHON = BLOCKED_IN_C.replace("ctypes.CDLL(None)", "time")
TWO_HUBS = f"""{SERVICE}
threading.Thread(target=lambda: spawn(serve).join(), name="second", daemon=True).start()
sleep(1000)
"""


@contextlib.contextmanager
def service(source: str) -> Iterator[subprocess.Popen[str]]:
    """A program that has said that it is ready."""
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(source)], stdout=-1, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


def ps(*args: object) -> str:
    """What it prints."""
    done = subprocess.run([*COMMAND, *map(str, args)], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def hubs(*args: object) -> list[dict[str, Any]]:
    given: list[dict[str, Any]] = json.loads(ps("--json", *args))["hubs"]
    return given


def named(hub: dict[str, Any], name: str) -> list[dict[str, Any]]:
    return [row for row in hub["greenlets"] if row["name"].split(" #")[0] == name]


def test_every_greenlet_is_listed_with_what_it_waits_for() -> None:
    with service(WORKS) as process:
        (hub,) = hubs(process.pid)
    assert (hub["pid"], hub["hub"], hub["thread"], hub["state"]) == (process.pid, 1, "MainThread", "live")
    assert hub["hub_state"] in {"polling", "away"}
    (reader,) = named(hub, "reads")
    assert (reader["state"], reader["reason"], reader["function"]) == ("waiting", "read", "reads")
    assert reader["fd"] is not None
    assert reader["switches"] == 1
    first, second = named(hub, "takes")
    assert (first["reason"], first["resource"]) == ("lock", second["resource"])
    (limited,) = named(hub, "with_deadline")
    assert 0 < limited["deadline_ns"] <= 100 * 10**9
    assert [row["name"] for row in named(hub, "sweeper")] == ["sweeper"]
    assert "hub" not in {row["name"] for row in hub["greenlets"]}


@pytest.mark.usefixtures("default_stalls")
@pytest.mark.parametrize("source", [BLOCKED_IN_C, BLOCKED_IN_PYTHON], ids=["in C", "in time.sleep"])
def test_who_blocks_the_hub_comes_first_and_the_hub_is_said_to_be_away(source: str) -> None:
    with service(source) as process:
        until(lambda: hubs(process.pid)[0]["stalled_in"])
        (hub,) = hubs(process.pid)
        text = ps(process.pid)
    assert hub["hub_state"] == "away"
    first = hub["greenlets"][0]
    assert (first["name"].split(" #")[0], first["state"]) == ("hog", "running")
    assert first["run_ns"] >= first["for_ns"] > 10**8
    assert f"({first['name']} has run for " in text
    assert "hog" in {frame["function"] for frame in hub["stalled_in"]}
    assert re.fullmatch(r"    seen in <string>:\d+ hog.*", text.splitlines()[2])
    assert text.splitlines()[5].split()[:4] == [f"{process.pid}/1", "hog", first["name"][4:], "running"]


def test_a_process_that_was_stopped_is_shown_and_stays_stopped() -> None:
    with service(WORKS) as process:
        process.send_signal(signal.SIGSTOP)
        assert hubs(process.pid)[0]["state"] == "live"
        state = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        assert state == "T"
        process.send_signal(signal.SIGCONT)


def test_a_killed_process_is_said_to_have_died_and_its_table_is_shown_as_it_was() -> None:
    with service(BLOCKED_IN_C) as process:
        until(lambda: hubs(process.pid)[0]["stalled_in"])
    (hub,) = hubs(process.pid)
    assert hub["state"] == "died"
    assert named(hub, "hog")[0]["state"] == "running"
    assert named(hub, "reads")[0]["state"] == "waiting"
    assert f"{process.pid}/1 MainThread: died 2" in ps(process.pid)
    assert hubs() == []
    assert [hub["pid"] for hub in hubs("--all")] == [process.pid]


def test_a_process_that_ended_in_good_order_is_said_to_have_ended() -> None:
    with service(SERVICE + "print('ready', flush=True)") as process:
        assert process.wait(30) == 0
    (hub,) = hubs(process.pid)
    assert hub["state"] == "ended"
    assert f"{process.pid}/1 MainThread: ended 2" in ps(process.pid)


def test_every_thread_with_a_hub_is_listed() -> None:
    with service(TWO_HUBS) as process:
        assert [(hub["hub"], hub["thread"]) for hub in hubs(process.pid)] == [(1, "MainThread"), (2, "second")]
        lines = ps().splitlines()
    assert lines[0].startswith(f"{process.pid} ")
    assert [line.split(":")[0] for line in lines[1:3]] == [
        f"  {process.pid}/1 MainThread",
        f"  {process.pid}/2 second",
    ]
    assert {line.split()[0] for line in lines[5:]} == {f"{process.pid}/1", f"{process.pid}/2"}


def test_rows_can_be_chosen_by_state_and_sorted_and_the_counts_stay_whole() -> None:
    with service(WORKS) as process:
        lines = ps(process.pid, "--state", "waiting", "--sort", "name").splitlines()
    names = [line.split("  ")[1].strip().lower() for line in lines[4:]]
    assert names == sorted(names)
    assert {"reads", "sweeper"} <= {name.split(" #")[0] for name in names}
    assert "waiting" in lines[1]
    with service(BLOCKED_IN_C) as process:
        (hub,) = hubs(process.pid, "--state", "running", "--state", "ready")
    assert [row["state"] for row in hub["greenlets"]] == ["running"]


def test_plain_text_is_never_cut(tmp_path: Path) -> None:
    directory = tmp_path / ("a_directory_with_a_long_name" * 8)
    directory.mkdir()
    (directory / "program.py").write_text(WORKS)
    with service(f"import runpy\nrunpy.run_path({str(directory / 'program.py')!r})") as process:
        assert str(directory / "program.py") in ps(process.pid)


def test_what_a_ring_says_cannot_command_the_terminal(tmp_path: Path) -> None:
    ring, file = new_ring("c", tmp_path / "a.gsr")
    _, main = begin(ring)
    ring.rename(main, ring.string("\x1b[31mred\n"), 0)
    file.close()
    text = ps(tmp_path / "a.gsr")
    assert "\x1b" not in text
    assert "\\x1b[31mred\\n" in text


def test_greenlets_that_found_the_table_full_are_counted(tmp_path: Path) -> None:
    ring, file = new_ring("c", tmp_path / "a.gsr", RingSizes(events=1024, slots=4, sites=8, string_bytes=512))
    _, main = begin(ring)
    for _ in range(7):
        ring.spawn(Spawn.GREENLET, ring.string("work"), 1, main)
    file.close()
    assert hubs(tmp_path / "a.gsr")[0]["unlisted"] == 5
    assert "5 greenlets found no room in the table" in ps(tmp_path / "a.gsr")


MANY = """
from greenscope.runtime import sleep, spawn
for number in range(10_000):
    spawn(sleep, 1000)
def serve():
    print("ready", flush=True)
    sleep(1000)
spawn(serve).join()
"""


def test_ten_thousand_greenlets_are_all_listed() -> None:
    with service(MANY) as process:
        (hub,) = hubs(process.pid)
        lines = ps(process.pid).splitlines()
    assert len(hub["greenlets"]) == 10_002
    assert hub["unlisted"] == 0
    assert len(lines) == 10_002 + 4


# -- a terminal, and watching -----------------------------------------------------------------------


@contextlib.contextmanager
def on_a_terminal(*args: object, columns: int = 100, rows: int = 12) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    master, slave = pty.openpty()
    os.set_inheritable(slave, True)
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    environment = dict(os.environ, TERM="xterm", PYTHONWARNINGS="error")
    for name in ("COLUMNS", "LINES", "NO_COLOR"):
        environment.pop(name, None)
    command = [*COMMAND, *map(str, args)]
    with subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=environment) as process:
        os.close(slave)
        try:
            yield process, master
        finally:
            process.kill()
            os.close(master)


def read_until(master: int, holds: Callable[[str], bool]) -> str:
    text = b""
    while not holds(text.decode(errors="replace")):
        assert select.select([master], [], [], 60)[0], text
        try:
            piece = os.read(master, 65536)
        except OSError:  # Linux's way of saying that the other side is closed
            break
        text += piece
    return text.decode()


def test_on_a_terminal_the_table_fits_its_width() -> None:
    with service(WORKS) as process, on_a_terminal(process.pid, columns=90) as (command, master):
        text = read_until(master, lambda _: False)
        assert command.wait(30) == 0
    lines = [line.rstrip() for line in _without_colours(text).splitlines()]
    assert max(map(len, lines)) <= 90
    assert {"State", "For", "Switches"} <= set(" ".join(lines).split())
    assert not any("waiti…" in line for line in lines)


def _without_colours(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text)


def test_watching_goes_on_when_the_process_dies_and_ctrl_c_ends_it() -> None:
    with service(WORKS) as process, on_a_terminal(process.pid, "--watch") as (command, master):
        read_until(master, lambda text: "live for" in text)
        process.kill()
        process.wait()
        shown = read_until(master, lambda text: "died" in text)
        assert "Traceback" not in shown
        command.send_signal(signal.SIGINT)
        read_until(master, lambda _: False)
        assert command.wait(30) == 0


def test_watching_everything_keeps_who_died_on_the_screen_and_says_how_many_found_no_place() -> None:
    with service(MANY) as process, on_a_terminal("--watch", rows=12) as (command, master):
        assert "more" in read_until(master, lambda text: "and 999" in text)
        process.kill()
        process.wait()
        read_until(master, lambda text: "died" in text)
        command.send_signal(signal.SIGINT)
        read_until(master, lambda _: False)
        assert command.wait(30) == 0


# -- what is wrong is one line -----------------------------------------------------------------------


def refusal(*args: object) -> str:
    done = subprocess.run([*COMMAND, *map(str, args)], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    return done.stderr


def test_a_process_without_a_ring_is_answered_with_who_has_one(tmp_path: Path) -> None:
    assert "process 1 has no ring in" in refusal(1)
    with service(WORKS) as process:
        assert f"what runs there: {process.pid} ({sys.executable} -c " in refusal(1)


def test_bad_input_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    (tmp_path / "a.gsr").write_text("not a ring")
    assert "is not a ring" in refusal(tmp_path / "a.gsr")
    assert "neither the number of a process nor a file" in refusal("nonsense")
    assert "give one of them" in refusal("--json", "--watch")


def test_where_nobody_records_it_is_said_and_nothing_listed() -> None:
    done = subprocess.run(COMMAND, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "")
    assert "no living process records into" in done.stderr


# -- words -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "0 ns"), (999, "999 ns"), (1000, "1.00 µs"), (12_345, "12.3 µs"), (999_499, "999 µs"),
        (999_500, "1.00 ms"), (59_900_000_000, "59.9 s"), (59_960_000_000, "1:00 min"), (125 * 10**9, "2:05 min"),
        (3599_600_000_000, "1:00 h"), (90 * 3600 * 10**9, "90:00 h"),
    ],
)  # fmt: skip
def test_a_duration_has_three_digits_and_the_unit_that_fits(ns: int, text: str) -> None:
    assert duration(ns) == text


def test_only_printable_characters_are_printed() -> None:
    assert printable("grün → 7") == "grün → 7"
    assert printable("a\x1b[2J\x07\u202eb") == r"a\x1b[2J\x07\u202eb"
