"""A stall in the program's own log: once, with who, how long and where; and nowhere else."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.usefixtures("default_stalls")

PROGRAM = """
import logging, sys, time
{configure}
import greenscope.runtime as g

def hog():
    g.sleep(0.01)
    time.sleep(0.3)  # here
    g.sleep(0.2)

def tick():
    while True:
        g.sleep(0.01)

ticks = g.spawn(tick)
g.spawn(hog).join()
"""


def stderr_of(configure: str, directory: Path) -> str:
    program = directory / "app.py"
    program.write_text(PROGRAM.format(configure=configure))
    done = subprocess.run([sys.executable, "-W", "error", str(program)], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "")
    return done.stderr


def test_it_is_told_once_with_the_greenlet_the_time_and_the_stack(tmp_path: Path):
    told = stderr_of('logging.basicConfig(format="%(levelname)s %(name)s %(message)s")', tmp_path)
    (first,) = re.findall(r"^WARNING greenscope\.stalls hog #\d+ kept the hub for (\d+) ms$", told, re.MULTILINE)
    assert int(first) >= 300
    line = PROGRAM.format(configure="").splitlines().index("    time.sleep(0.3)  # here") + 1
    assert told.rstrip().splitlines()[-1].endswith(f'app.py", line {line}, in hog')


def test_a_handler_that_waits_does_not_stop_the_hub(tmp_path: Path):
    configure = """
class Waits(logging.Handler):
    def emit(self, record):
        import greenscope.runtime as g
        g.sleep(0.01)
        sys.stderr.write("waited\\n")
logging.getLogger().addHandler(Waits())
"""
    assert stderr_of(configure, tmp_path) == "waited\n"


def test_a_program_without_a_log_is_not_written_into(tmp_path: Path):
    assert stderr_of("", tmp_path) == ""


def test_a_log_that_wants_no_warnings_is_left_alone(tmp_path: Path):
    assert stderr_of("logging.basicConfig(level=logging.ERROR)", tmp_path) == ""
