"""Programs that are recorded, in processes of their own: what the tests of the watchdog watch."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.trace.watched import BEGIN


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts a program, with what all of them begin with, in a process that ends with the test."""
    children: list[subprocess.Popen[str]] = []

    def begin(source: str, **environment: str) -> subprocess.Popen[str]:
        # Not beside the trace directory: that would be a package of our name.
        script = tmp_path / f"script{len(children)}" / "script.py"
        script.parent.mkdir()
        script.write_text(BEGIN + source)
        child = subprocess.Popen(
            [sys.executable, "-W", "error", str(script)],
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        children.append(child)
        return child

    yield begin
    for child in children:
        child.kill()
        child.communicate()


@pytest.fixture
def run(start: Callable[..., subprocess.Popen[str]]) -> Callable[..., str]:
    """Runs such a program to its end: what it printed."""

    def to_end(source: str, **environment: str) -> str:
        child = start(source, **environment)
        out, err = child.communicate(timeout=60)
        assert child.returncode == 0, err
        return out

    return to_end
