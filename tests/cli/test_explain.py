"""events --explain: the commands of docs/recordings.md, and what comes of other options and of losses."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.trace.rings import begin, new_ring

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "recordings.md").read_text()
SECTION = PAGE.split("### Explained")[1].split("### As JSON")[0]
RECORD, *EVENTS = re.findall(r"^    greenscope (.*)$", SECTION, re.MULTILINE)
((NAME, PROGRAM),) = re.findall(r"```python\n# (\w+\.py)\n(.*?)```", SECTION, re.DOTALL)
(OUTPUT,) = re.findall(r"```text\n(.*?)```", SECTION, re.DOTALL)


def greenscope(directory: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    command = [sys.executable, "-m", "greenscope", *args]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=60)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the page's recording."""
    directory = tmp_path_factory.mktemp("explained")
    (directory / NAME).write_text(f"# {NAME}\n{PROGRAM}")
    done = greenscope(directory, *shlex.split(RECORD))
    assert done.returncode == 0, done.stderr
    return directory


def without_numbers(text: str) -> list[str]:
    """Its lines, but for times and descriptors, which are others each time."""
    return [re.sub(r"\d+(\.\d+)?( [nµm]?s\b)?", "N", re.sub(r"^ +[\d.]+", "", line)) for line in text.splitlines()]


def test_the_pages_commands_explain_its_program_as_it_says(recorded: Path) -> None:
    english, chinese = (greenscope(recorded, *shlex.split(command)).stdout for command in EVENTS)
    lines = without_numbers(english)
    shown = without_numbers(OUTPUT)
    at = lines.index(shown[0])
    assert lines[at : at + len(shown)] == shown
    assert "reader #3 called recv() at hello.py:8." in english
    assert "reader #3 在 hello.py:8 调用了 recv()。" in chinese
    assert "main" in chinese and "main #" not in chinese


def test_what_is_shown_does_not_change_what_is_said(recorded: Path) -> None:
    every = greenscope(recorded, "events", "hello.gsr", "--explain").stdout.splitlines()
    parks = greenscope(recorded, "events", "hello.gsr", "--explain", "--kind", "greenlet_park").stdout.splitlines()
    assert len(parks) > 4
    assert set(parks) <= set(every)


def test_as_json_the_sentences_are_a_field(recorded: Path) -> None:
    done = greenscope(recorded, "events", "hello.gsr", "--explain", "--json", "--kind", "op_begin")
    facts = [json.loads(line) for line in done.stdout.splitlines()]
    assert facts[0]["explained"].startswith("reader #3 called recv() on fd ")
    assert facts[0]["explained"].endswith(" It asks the kernel at once, and waits only if that would block.")
    assert "`explained`" in PAGE and "`awaits`" in PAGE


def test_a_wait_for_an_end_names_whom_and_no_descriptor(recorded: Path) -> None:
    done = greenscope(recorded, "events", "hello.gsr", "--json", "--kind", "greenlet_park", "--greenlet", "main")
    facts = json.loads(done.stdout.splitlines()[0])
    assert (facts["reason"], facts["awaits"], "fd" in facts) == ("join", "writer #4", False)


def test_a_language_without_explain_is_refused_in_one_line(recorded: Path) -> None:
    done = greenscope(recorded, "events", "hello.gsr", "--lang", "zh")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "--explain" in done.stderr


def test_where_records_were_lost_that_is_said_and_the_rest_is_told(tmp_path: Path) -> None:
    ring, file = new_ring("c", tmp_path / "a.gsr")
    begin(ring)
    ring.clock_ns = 0  # the real one
    for _ in range(100):
        ring.poll_begin(1)
    file.close()
    first, second, *_ = greenscope(tmp_path, "events", "a.gsr", "--explain").stdout.splitlines()
    assert re.fullmatch(r"-- \d+ records were lost here: who runs, .* until it is said again\. --", first)
    assert second.endswith("Nobody is ready, so the hub asks the kernel, and blocks until something happens.")
    line = greenscope(tmp_path, "events", "a.gsr", "--explain", "--lang", "zh").stdout.splitlines()[0]
    assert line.startswith("-- 这里丢失了 ")
