"""The tests of docs/pytest.md, under its commands: the report says what the page says."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "pytest.md").read_text()
PROGRAM = re.findall(r"```python\n(# test_shop\.py\n.*?)```", PAGE, re.DOTALL)[0]
COMMANDS = re.findall(r"^    (pytest .*)$", PAGE, re.MULTILINE)


def said(pattern: str, text: str) -> bool:
    """Whether a line of the page is in a report, with anything in the place of its dots."""
    return re.search(".*?".join(map(re.escape, pattern.strip().split("…"))), text) is not None


def run(command: str, here: Path, *more: str) -> str:
    (here / "test_shop.py").write_text(PROGRAM)
    arguments = [sys.executable, "-m", *shlex.split(command), "--greenscope-dir", str(here / "kept"), *more]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(arguments, cwd=here, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1, done.stdout
    return done.stdout


def test_the_deadlock_and_the_leak_are_in_the_reports(tmp_path: Path) -> None:
    here = tmp_path / "shop"
    here.mkdir()
    by_timeout, for_leaks = COMMANDS
    report = run(by_timeout, here, "-p", "no:cacheprovider")
    lines = re.findall(r"^    (critical: .*|main.*|check_out.*)$", PAGE, re.MULTILINE)
    assert len(lines) == 4
    for line in lines:
        assert said(line, report), (line, report)
    assert "1 failed, 1 passed" in report
    leaked = run(for_leaks, here, "-p", "no:cacheprovider", "-k", "order")
    lines = re.findall(r"^    (ERROR .*|.*left behind:|  greenlet .*)$", PAGE, re.MULTILINE)
    assert len(lines) == 3
    for line in lines:
        assert said(line, leaked), (line, leaked)
