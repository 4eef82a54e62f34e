"""The programs of docs/annotations.md, under its commands: what they say is in the recording."""

from __future__ import annotations

import contextlib
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from greenscope.trace.events import Kind
from greenscope.trace.reader import RingReader
from greenscope.trace.records import Event

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "annotations.md").read_text()
PROGRAMS = dict(re.findall(r"```python\n# (\w+\.py)\n(.*?)```", PAGE, re.DOTALL))
COMMANDS = re.findall(r"^    greenscope (record .*)$", PAGE, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_what_the_shop_says_is_recorded(command: str, tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(PROGRAMS["shop.py"])
    done = subprocess.run(
        [sys.executable, "-m", "greenscope", *shlex.split(command)],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    with contextlib.closing(RingReader(tmp_path / "shop.gsr")) as reader:
        events = [event for event in reader.read() if isinstance(event, Event)]
        names = {reader.string(event.arg) for event in events if event.kind == Kind.GREENLET_NAME}
        assert {"checkout 1", "checkout 2"} <= names
        spans = [reader.string(event.arg >> 32) for event in events if event.kind == Kind.SPAN_BEGIN]
        assert sorted(spans) == ["price", "stock", "stock"]
        assert [event.text for event in events if event.kind == Kind.MARK] == ["out of stock: 4711"]
        assert {event.text for event in events if event.kind == Kind.REQUEST_BEGIN} == {
            "id-1\nPOST /checkout",
            "id-2\nPOST /checkout",
        }
        assert sorted(event.aux for event in events if event.kind == Kind.REQUEST_END) == [200, 409]
        parks = [event.site for event in events if event.kind == Kind.GREENLET_PARK]
        deepest = max(len(reader.stack(site)) for site in parks)
        levels = [event.reason for event in events if event.kind == Kind.DETAIL]
    assert (deepest > 1, levels) == ((True, [1]) if "--detail io --stacks" in command else (False, []))


def test_the_program_that_sets_its_level_runs(tmp_path: Path) -> None:
    (tmp_path / "level.py").write_text(PROGRAMS["level.py"])
    done = subprocess.run(
        [sys.executable, "level.py"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout, done.stderr) == ("io\n", "")
