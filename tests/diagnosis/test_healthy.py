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
SECONDS = float(os.environ.get("GREENSCOPE_HEALTHY_SECONDS", "4"))


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
            until = time.monotonic() + SECONDS
            while time.monotonic() < until:
                examination.findings()
                assert process.poll() is None
                time.sleep(0.1)  # as a viewer does
        finally:
            os.killpg(process.pid, signal.SIGKILL)
    said = [finding.sentence for finding in examination.seen.values()]
    assert examination.timeline.switches > 10
    examination.close()
    assert said == []
