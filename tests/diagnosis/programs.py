"""The programs of the zoo: what each says of itself, and how it is run and looked at.

A program's docstring says which ``finding`` it is an example of, which ``greenlet`` (by its name) is to be
found, and which ``thresholds`` it needs; a comment ``# <- here`` marks the line. With ``ends: yes`` it does so by
itself.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from greenscope.trace.analysis.diagnoses import Finding, Thresholds
from greenscope.trace.examination import Examination

ZOO = Path(__file__).resolve().parent / "zoo"
_PATIENCE = 20

T = TypeVar("T")


@dataclass(frozen=True)
class Program:
    """One of them."""

    path: Path
    finding: str
    greenlet: str
    thresholds: Thresholds
    line: int
    ends: bool

    @property
    def name(self) -> str:
        return self.path.stem

    @contextmanager
    def running(self, directory: Path) -> Iterator[subprocess.Popen[str]]:
        """It, as a process that leaves its rings in a directory, and is killed in the end."""
        environment = {**os.environ, "GREENSCOPE_DIR": str(directory), "GREENSCOPE_RING_MB": "8"}
        with subprocess.Popen(
            [sys.executable, str(self.path)], cwd=ZOO, env=environment, stderr=subprocess.PIPE, text=True
        ) as process:
            try:
                yield process
            finally:
                process.kill()


def programs() -> list[Program]:
    """All of them, in the order of their names."""
    return [_read(path) for path in sorted(ZOO.glob("*_*.py"))]


def _read(path: Path) -> Program:
    source = path.read_text(encoding="utf-8")
    said = dict(line.split(": ", 1) for line in source.split('"""')[1].splitlines()[1:] if ": " in line)
    given = dict(each.split("=") for each in said.get("thresholds", "").split())
    lines = [number for number, line in enumerate(source.splitlines(), 1) if line.endswith("# <- here")]
    assert len(lines) == 1, f"{path}: one line is to be marked with # <- here"
    thresholds = Thresholds(**{name: int(value) for name, value in given.items()})
    return Program(path, said["finding"], said["greenlet"], thresholds, lines[0], "ends" in said)


def ring_of(directory: Path, process: subprocess.Popen[str]) -> Path:
    """The ring of a process's first hub, as soon as there is one."""
    return until(lambda: next(directory.glob(f"{process.pid}-1.gsr"), None), process)


def until(look: Callable[[], T | None], process: subprocess.Popen[str]) -> T:
    """What ``look`` gives, as soon as that is something."""
    by = time.monotonic() + _PATIENCE
    while not (found := look()):
        if process.poll() is not None:
            assert process.stderr is not None
            raise AssertionError(f"the program ended with {process.returncode}: {process.stderr.read()}")
        assert time.monotonic() < by, "nothing was found"
        time.sleep(0.01)
    return found


def examined(path: Path, thresholds: Thresholds) -> list[Finding]:
    """What is wrong, by one look at a ring."""
    examination = Examination(path, thresholds)
    try:
        return examination.findings()
    finally:
        examination.close()
