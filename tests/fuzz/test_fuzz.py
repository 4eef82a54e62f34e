"""A few seconds of fuzzing, each time other ones; ``GREENSCOPE_FUZZ_SECONDS`` and ``GREENSCOPE_FUZZ_SEED`` set them."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SECONDS = float(os.environ.get("GREENSCOPE_FUZZ_SECONDS", "10"))
SEED = int(os.environ.get("GREENSCOPE_FUZZ_SEED", random.SystemRandom().randrange(1 << 40)))


def test_damaged_rings_are_refused_or_read_and_nothing_else(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.fuzz.target", str(SECONDS), str(SEED), str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS + 60)
    assert done.returncode == 0, f"GREENSCOPE_FUZZ_SEED={SEED}\n{done.stderr}"
    counts = json.loads(done.stdout)
    print(counts)
    assert counts["read read"] > 0
    assert counts["read refused"] > 0
