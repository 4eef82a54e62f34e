"""Programs that are busy, and well: nothing is found wrong with them, however long one looks.

Here that is some seconds each; GREENSCOPE_HEALTHY_SECONDS=60 looks for a minute.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from greenscope.trace.examination import Examination
from tests.diagnosis.programs import ring_of

HEALTHY = Path(__file__).resolve().parent / "healthy"
PROGRAMS = sorted(path for path in HEALTHY.glob("*.py") if path.name != "load.py")
# What a machine that is too busy makes of any program, and by how much it was: a share of the time.
_STARVED = frozenset({"starved", "hog-by-slices"})
_BUSY = 0.2
SECONDS = float(os.environ.get("GREENSCOPE_HEALTHY_SECONDS", "4"))

pytestmark = pytest.mark.usefixtures("default_stalls")


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.stem)
def test_nothing_is_found(program: Path, tmp_path: Path):
    if program.stem == "redis_traffic":
        pytest.importorskip("redis")
        if shutil.which("redis-server") is None and os.environ.get("GREENSCOPE_REQUIRE_DAEMONS") != "1":
            pytest.skip("no redis-server here")
    directory = tmp_path / "rings"
    environment = {**os.environ, "GREENSCOPE_DIR": str(directory), "GREENSCOPE_RING_MB": "32"}
    command = [sys.executable, str(program)]
    with subprocess.Popen(
        command, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            examination = Examination(ring_of(directory, process))
            until, before = time.monotonic() + SECONDS, waited_for_a_processor(process.pid)
            while time.monotonic() < until:
                examination.findings()
                assert process.poll() is None
                time.sleep(0.1)  # as a viewer does
            kept_waiting = waited_for_a_processor(process.pid) - before
        finally:
            os.killpg(process.pid, signal.SIGKILL)
    excused = _STARVED if kept_waiting > _BUSY * SECONDS else frozenset()
    said = [finding.sentence for finding in examination.seen.values() if finding.id not in excused]
    assert examination.timeline.switches > 10
    examination.close()
    assert said == []


def waited_for_a_processor(pid: int) -> float:
    """Seconds that a process's main thread could have run, and had no processor."""
    return int(Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()[1]) / 1e9
