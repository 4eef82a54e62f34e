"""How much a process records is asked for, and changed, from outside while it runs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

COMMAND = (sys.executable, "-m", "greenscope", "detail")

PROGRAM = """
from greenscope.runtime import get_hub, sleep
from greenscope.trace import detail
get_hub()
print(detail(), flush=True)
said = detail()
while True:
    sleep(0.005)
    if detail() != said:
        said = detail()
        print(said, flush=True)
"""


def detail(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def service() -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == "switch\n"
            yield child
        finally:
            child.kill()


def test_a_process_that_runs_is_told_how_much_to_record(service: subprocess.Popen[str]) -> None:
    assert detail(service.pid).stdout == "hub 1: switch\n"
    for level in ("io", "teach", "switch"):
        done = detail(service.pid, level)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        assert service.stdout is not None
        assert service.stdout.readline() == f"{level}\n"
        assert detail(service.pid).stdout == f"hub 1: {level}\n"


def test_a_dead_process_says_how_much_it_recorded_and_is_told_nothing(service: subprocess.Popen[str]) -> None:
    service.kill()
    service.wait()
    assert detail(service.pid).stdout == "hub 1: switch\n"
    done = detail(service.pid, "io")
    assert (done.returncode, done.stderr) == (2, f"greenscope: process {service.pid} died: it records nothing more\n")


def test_a_process_that_is_stopped_is_said_to_be(service: subprocess.Popen[str]) -> None:
    os.kill(service.pid, signal.SIGSTOP)
    try:
        while Path(f"/proc/{service.pid}/stat").read_text().rpartition(")")[2].split()[0] != "T":
            time.sleep(0.01)
        done = detail(service.pid, "io")
    finally:
        os.kill(service.pid, signal.SIGCONT)
    assert done.returncode == 2
    assert "is it stopped?" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [(("x",), "'x' is not the number of a process"), ((1,), "process 1 has no ring"), ((1, "loud"), "'loud' is not")],
)
def test_bad_input_is_one_clear_line(arguments: tuple[object, ...], says: str, trace_directory: Path) -> None:
    trace_directory.mkdir(mode=0o700)
    done = detail(*arguments)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr
