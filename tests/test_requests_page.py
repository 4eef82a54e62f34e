"""docs/requests.md: its case is as it says, its commands answer, and every option and field is on it."""

from __future__ import annotations

import http.client
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from greenscope.cli import requests as command
from greenscope.trace.analysis import requests as analysis
from greenscope.trace.analysis.critical_path import ENDED, UNKNOWN, UNSTARTED, piece_label
from greenscope.trace.analysis.request_text import route_of
from greenscope.trace.analysis.requests import Outcome
from tests.test_on_call import where
from tests.test_readme import echoed, free_port

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "requests.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^    (greenscope .*)$", PAGE, re.MULTILINE)
_ROUNDS = 3


def run(line: str, pid: int, directory: Path) -> str:
    """What a command of the page prints."""
    words = line.replace("PID", str(pid)).split()
    environment = {**os.environ, "GREENSCOPE_DIR": str(directory / "rings")}
    done = subprocess.run(
        [sys.executable, "-m", *words], cwd=directory, env=environment, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, (line, done.stderr)
    return done.stdout


def asks(port: int, me: int, gate: threading.Barrier) -> None:
    """A client of the page's shop."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    gate.wait(30)
    for turn in range(_ROUNDS):
        connection.request("GET", f"/orders/{me * 100 + turn}", headers={"X-Request-ID": f"ord-{me}-{turn}"})
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (200, b"in stock")
    connection.close()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """The page's shop, on a free port, when its eight clients have asked; and where it is."""
    directory = where(tmp_path_factory.mktemp("shop"))
    (program,) = re.findall(r"```python\n(# shop\.py\n.*?)```", PAGE, re.DOTALL)
    port = free_port()
    (directory / "shop.py").write_text(program.replace("7000", str(port)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GREENSCOPE_DIR", str(directory / "rings"))
        with subprocess.Popen([sys.executable, "shop.py"], cwd=directory, stderr=subprocess.PIPE, text=True) as server:
            try:
                assert echoed(port).startswith(b"HTTP/1.1 501")  # it is there, and knows no "hello"
                gate = threading.Barrier(8)
                clients = [threading.Thread(target=asks, args=(port, me, gate)) for me in range(8)]
                for client in clients:
                    client.start()
                for client in clients:
                    client.join()
                run("greenscope snapshot PID -o trace.gsr", server.pid, directory)
                yield server, directory
            finally:
                server.kill()


def hub_of(shop: tuple[subprocess.Popen[str], Path], *options: str) -> dict[str, Any]:
    server, directory = shop
    answer = json.loads(run(" ".join(["greenscope requests PID --json", *options]), server.pid, directory))
    assert answer["version"] == command.VERSION
    assert f'"version": {command.VERSION}' in PAGE
    (hub,) = answer["hubs"]
    assert isinstance(hub, dict)
    return hub


@pytest.mark.usefixtures("shop")
def test_the_case_is_as_the_page_says_and_every_command_answers(shop: tuple[subprocess.Popen[str], Path]) -> None:
    server, directory = shop
    slowest = hub_of(shop)["requests"][0]
    assert slowest["route"] == "GET /orders/{id}"
    assert len(COMMANDS) >= 6
    printed = {
        each: run(each.replace("NUMBER", str(slowest["number"])), server.pid, directory) for each in COMMANDS
    }  # fmt: skip
    listed = printed["greenscope requests PID --slowest 3"]
    assert re.search(r" 24 +0 .* GET /orders/\{id\}$", listed, re.MULTILINE)
    assert re.search(r"GET /orders/\d+ +\d+ +ord-\d-\d +join ", listed)
    assert "no such requests" in printed["greenscope requests trace.gsr --failed"]
    whole = printed["greenscope requests PID --request NUMBER"]
    pieces = whole.split("critical path")[1]
    assert re.search(r"stock #\d+ +waiting: lock +\S+shop\.py:9 stock$", pieces, re.MULTILINE)
    assert re.search(r"stock #\d+ +waiting: timer +\S+shop\.py:10 stock$", pieces, re.MULTILINE)
    assert "price" not in pieces
    waits = {piece["what"]: piece["end_ns"] - piece["start_ns"] for piece in hub_of(
        shop, "--request", str(slowest["number"]))["critical_path"]}  # fmt: skip
    assert waits["waiting: lock"] > waits["waiting: timer"] >= 20_000_000


def test_every_field_of_the_json_is_listed_and_no_other(shop: tuple[subprocess.Popen[str], Path]) -> None:
    hub = hub_of(shop)
    whole = hub_of(shop, "--request", str(hub["requests"][0]["number"]))
    tables = re.split(r"\| field of (?:a hub|a route|a request|one request) \|", PAGE)
    first = [re.findall(r"`(\w+)`", "".join(re.findall(r"^\|([^|]+)\|", table, re.MULTILINE))) for table in tables[1:]]
    answers = [hub, hub["routes"][0], hub["requests"][0], {key: whole[key] for key in whole if key not in hub}]
    for listed, answer in zip(first, answers, strict=True):
        assert sorted(listed) == sorted(answer)
    rows = tables[-1]
    for field in (*whole["greenlets"][0], *whole["critical_path"][0]):
        assert f"`{field}`" in rows
    assert set(re.findall(r"`(\w+)`", PAGE.split("| `outcome` |")[1].split("\n")[0])) == {
        outcome.name.lower() for outcome in Outcome
    }


def test_what_a_piece_may_be_is_on_the_page() -> None:
    assert all(f"| `{piece_label(state, 0)}` |" in PAGE for state in (UNKNOWN, ENDED, UNSTARTED))


def test_the_rule_of_routes_and_the_bounds_are_as_the_page_says() -> None:
    (path, route) = re.findall(r"^`(/orders\S+)` is `(\S+)`", PAGE, re.MULTILINE)[0]
    assert route_of(path) == route
    assert f"{command._KEEP:,} requests" in PAGE
    assert f"newest {analysis.KEEP:,} and" in PAGE
    assert f"at most {analysis._MOST_ROUTES} routes" in PAGE
    assert f"`{analysis._REMAINING_ROUTES}`" in PAGE
