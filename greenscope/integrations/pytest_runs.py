"""Directories of runs: each run of pytest has its own, and those of the last few are kept."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from pathlib import Path

__all__ = ["new_run"]

_KEPT = 5


def new_run(base: str | None) -> Path:
    """A new directory, for this run; old ones beside it are removed, but never one whose process lives.

    Args:
        base: where; None is the directory for temporary files.

    Raises:
        OSError: it cannot be made there.
    """
    parent = Path(base).absolute() if base else Path(tempfile.gettempdir(), f"greenscope-pytest-{os.getuid()}")
    parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    old = sorted((path for path in parent.glob("run-*-*")), key=lambda path: path.name)
    for path in old[: max(0, len(old) - _KEPT + 1)]:
        if not _lives(path.name.rpartition("-")[2]):
            shutil.rmtree(path, ignore_errors=True)
    run = parent / f"run-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
    while run.exists():  # one process may run pytest more than once
        run = run.with_name(f"{run.name.rpartition('-')[0]}x-{os.getpid()}")
    run.mkdir(mode=0o700)
    return run


def _lives(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except (OSError, ValueError):
        return True
    return True
