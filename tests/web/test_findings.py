"""What the page is told is wrong: with its source, as long as that is what ran, and as docs/protocol.md has it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from greenscope.web.findings import findings
from greenscope.web.session import Session

PROTOCOL = (Path(__file__).resolve().parents[2] / "docs" / "protocol.md").read_text(encoding="utf-8")
PROGRAM = """
import time
import greenscope.runtime as g
g.sleep(0.01)
until = time.thread_time() + 0.3
while time.thread_time() < until:
    sum(range(1000))
g.sleep(0.01)
"""


def recorded(directory: Path) -> Path:
    """The ring of a program that ran for too long, and ended."""
    program = directory / "app.py"
    program.write_text(PROGRAM)
    rings = directory / "rings"
    subprocess.run([sys.executable, str(program)], env={**os.environ, "GREENSCOPE_DIR": str(rings)}, check=True)
    (ring,) = rings.glob("*.gsr")
    return ring


def told(ring: Path) -> dict[str, Any]:
    with closing(Session(ring)) as session:
        while session.follow():
            pass
        return findings(session)


def test_a_finding_comes_with_the_source_around_its_line(tmp_path: Path) -> None:
    answer = told(recorded(tmp_path))
    (finding,) = answer["findings"]
    assert (answer["type"], answer["total"]) == ("findings", 1)
    assert finding["id"] == "hub-blocked"
    assert finding["duration"] >= 3e8
    source = finding["source"]
    lines = PROGRAM.splitlines()
    first = source["first"]
    assert first == finding["site"]["line"] - 2
    assert source["lines"] == lines[first - 1 : first + 4]


def test_source_that_was_changed_since_the_program_began_is_not_shown(tmp_path: Path) -> None:
    ring = recorded(tmp_path)
    later = time.time() + 60
    os.utime(tmp_path / "app.py", (later, later))
    assert told(ring)["findings"][0]["source"] is None
    (tmp_path / "app.py").unlink()
    assert told(ring)["findings"][0]["source"] is None


def test_every_field_is_in_the_protocols_page_and_no_other(tmp_path: Path) -> None:
    (finding,) = told(recorded(tmp_path))["findings"]
    block = PROTOCOL.split("Finding = {")[1].split("\n```")[0].split("\nStall = ")[0]
    assert set(finding) | {"name", "text", "at", "first", "lines"} == set(re.findall(r'"(\w+)"(?=: |, "name")', block))


def test_what_is_wrong_is_worked_out_once_for_all_pages_and_not_again_when_nothing_can_come(tmp_path: Path) -> None:
    looks = 0

    class Counted(Session):
        def findings(self) -> list[Any]:
            nonlocal looks
            looks += 1
            return super().findings()

    now = 10**18
    with closing(Counted(recorded(tmp_path), clock=lambda: now)) as session:
        while session.follow():
            pass
        assert findings(session) == findings(session)
        now += 10**9
        findings(session)
        assert looks == 1
