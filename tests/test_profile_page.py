"""docs/profile.md: its case is as it says, its commands answer, and every way, option and field is on it."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from greenscope.cli.profile import VERSION
from greenscope.trace.analysis.profile import ACCEPT, READY, RUNNING, By, Part, reason_label
from greenscope.trace.analysis.states import POLL
from greenscope.trace.events import Wait
from tests.test_on_call import where
from tests.test_readme import echoed, free_port

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "profile.md").read_text(encoding="utf-8")
COMMANDS = [
    *re.findall(r"^    (greenscope .*)$", PAGE, re.MULTILINE),
    *re.findall(r"`(greenscope profile [^`]+)`", PAGE),
]
_ROUNDS = 12


def asks(port: int, gate: threading.Barrier) -> None:
    """A client of the page's service."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        gate.wait(30)
        for _ in range(_ROUNDS):
            connection.sendall(b"?")
            assert connection.recv(100) == b"rows"


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """The page's service, on free ports, when its ten clients have asked."""
    (program,) = re.findall(r"```python\n# service\.py\n(.*?)```", PAGE, re.DOTALL)
    port, other = free_port(), free_port()
    source = program.replace("7000", str(port)).replace("7001", str(other))
    (where(tmp_path) / "service.py").write_text("# service.py\n" + source)
    with subprocess.Popen(
        [sys.executable, "service.py"], cwd=where(tmp_path), stderr=subprocess.PIPE, text=True
    ) as service:
        try:
            assert echoed(port) == b"rows"
            gate = threading.Barrier(10)
            clients = [threading.Thread(target=asks, args=(port, gate)) for _ in range(10)]
            for client in clients:
                client.start()
            for client in clients:
                client.join()
            yield service
        finally:
            service.kill()


def run(command: str, pid: int, directory: Path) -> str:
    """What a command of the page prints."""
    words = command.replace("PID", str(pid)).split()
    done = subprocess.run(
        [sys.executable, "-m", *words], cwd=where(directory), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, (command, done.stderr)
    return done.stdout


def rows(text: str, heading: str) -> list[list[str]]:
    """The rows under a heading, in words."""
    lines = text.split(f"\n{heading}: ")[1].split("\n\n", maxsplit=1)[0].splitlines()
    return [line.split() for line in lines[2:]]


def test_the_case_is_as_the_page_says_and_every_command_answers_living_and_dead(
    slow: subprocess.Popen[str], tmp_path: Path
) -> None:
    run("greenscope snapshot PID -o trace.gsr", slow.pid, tmp_path)
    living = {command: run(command, slow.pid, tmp_path) for command in COMMANDS}
    slow.kill()
    slow.wait()
    dead = {command: run(command, slow.pid, tmp_path) for command in COMMANDS}
    for printed in (living, dead):
        first = printed["greenscope profile PID"]
        assert re.search(r"service\.py:15 query$", " ".join(rows(first, "waiting for others")[0]))
        assert {"timer"} == {row[-3] for row in rows(first, "asleep")}
        assert {"accept"} == {row[-3] for row in rows(first, "waiting for work to come")}
        (wakers,) = (text for command, text in printed.items() if "--by waker" in command)
        assert {"serve", "lock"} <= set(rows(wakers, "waiting for others")[0])
        assert "who ran" in printed["greenscope profile PID --by load"]
    shown = re.findall(r"^(waiting for others|asleep|waiting for work to come): ", first, re.MULTILINE)
    assert shown == ["waiting for others", "asleep", "waiting for work to come"]
    (collapsed,) = (text for command, text in living.items() if "--collapsed" in command)
    assert all(re.fullmatch(r".+;\[\w+( \w+)?\] \d+", line) for line in collapsed.splitlines())
    assert "[accept]" not in collapsed


def test_every_way_and_every_reason_is_on_the_page() -> None:
    table = PAGE.split("| `--by` |")[1].split("\n\n")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == [str(by) for by in By]
    headings = PAGE.split("| heading |")[1].split("\n\n")[0]
    for reason in (*Wait, POLL, ACCEPT, READY, RUNNING):
        assert reason == Wait.OTHER or f"`{reason_label(reason)}`" in headings


def test_every_field_of_the_json_is_listed_and_no_other(slow: subprocess.Popen[str], tmp_path: Path) -> None:
    hub_fields: set[str] = set()
    row_fields: set[str] = set()
    for by in By:
        answer = json.loads(run(f"greenscope profile PID --json --by {by}", slow.pid, tmp_path))
        assert answer["version"] == VERSION
        (hub,) = answer["hubs"]
        hub_fields |= set(hub)
        row_fields |= {field for row in hub["rows"] for field in row}
        assert {row["kind"] for row in hub["rows"]} <= {str(part) for part in Part}
    hubs, of_rows = PAGE.split("| field of a hub |")[1].split("| field of a row |")
    for table, fields in ((hubs, hub_fields), (of_rows, row_fields)):
        listed = re.findall(r"`(\w+)`", "".join(re.findall(r"^\|([^|]+)\|", table, re.MULTILINE)))
        assert sorted(listed) == sorted(fields)
    assert all(f"`{part}`" in of_rows for part in Part)
    assert f'"version": {VERSION}' in PAGE
