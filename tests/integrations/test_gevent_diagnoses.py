"""Programs of the zoo on gevent: the same sources, but for where they import from, and the same findings."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from greenscope.trace.examination import Examination
from tests.diagnosis.programs import ZOO, Program, programs, ring_of, until

# Those whose programs mean the same on gevent, one for each kind of thing that has to be known of it: who holds a
# lock, who runs, what a call does in the kernel, which socket, what nothing is left to wake, calls in threads.
CHOSEN = (
    "deadlock_plain",
    "hub_blocked_hidden",
    "blocking_call_hidden",
    "wait_no_deadline_plain",
    "orphan_wait_plain",
    "pool_exhausted_plain",
    "loop_exit_hidden",
)
PROGRAMS = {program.name: program for program in programs() if program.name in CHOSEN}


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sources, for gevent."""
    directory = tmp_path_factory.mktemp("zoo")
    for path in ZOO.glob("*.py"):
        (directory / path.name).write_text(path.read_text().replace("greenscope.runtime", "gevent"))
    return directory


@pytest.mark.parametrize("name", CHOSEN)
def test_the_same_is_found_as_on_the_runtime(name: str, zoo: Path, tmp_path: Path) -> None:
    program: Program = PROGRAMS[name]
    directory = tmp_path / "rings"
    command = [sys.executable, "-m", "greenscope.integrations.gevent", program.path.name]
    environment = {**os.environ, "GREENSCOPE_DIR": str(directory), "GREENSCOPE_RING_MB": "8"}
    with subprocess.Popen(command, cwd=zoo, env=environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            ring = ring_of(directory, process)
            examination = Examination(ring, program.thresholds)
            try:
                if program.ends:
                    process.communicate()
                    findings = examination.findings()
                else:
                    findings = until(examination.findings, process)
            finally:
                examination.close()
        finally:
            process.kill()
    told = [
        (one.id, one.greenlet.name.split(" #")[0], one.site.line)
        for one in findings
        if one.greenlet is not None and one.site is not None
    ]
    assert told == [(program.finding, program.greenlet, program.line)]
