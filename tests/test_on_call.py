"""The page for the engineer on call: its service hangs, and every command of it answers."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.cli.test_top import in_a_terminal, read_until
from tests.test_readme import echoed, free_port

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "on-call.md").read_text()
INLINE = re.findall(r"`(greenscope [^`]+)`", re.sub(r"```.*?```", "", PAGE, flags=re.DOTALL).replace("\n", " "))
BLOCKS = re.findall(r"^    ((?:greenscope|kill) .*)$", re.sub(r"```.*?```", "", PAGE, flags=re.DOTALL), re.MULTILINE)


def where(tmp_path: Path) -> Path:
    """Where the service runs: beside the rings, whose directory has the name of a package."""
    directory = tmp_path / "srv"
    directory.mkdir(exist_ok=True)
    return directory


@pytest.fixture
def hanging(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], list[socket.socket]]]:
    """The page's service, on a free port, with three clients that got an answer before it hung."""
    tmp_path = where(tmp_path)
    (program,) = re.findall(r"```python\n# service\.py\n(.*?)```", PAGE, re.DOTALL)
    port = free_port()
    # The report waits for the clients to have had their answers, too.
    waits = """
    while not Path("go").exists():
        sleep(0.01)
"""
    source = program.replace("7000", str(port)).replace("    sleep(1)\n", f"    sleep(1){waits}")
    (tmp_path / "service.py").write_text("# service.py\nfrom pathlib import Path\n" + source)
    with subprocess.Popen([sys.executable, "service.py"], cwd=tmp_path, stderr=subprocess.PIPE, text=True) as service:
        try:
            assert echoed(port) == b"hello"
            clients = [socket.create_connection(("127.0.0.1", port), timeout=20) for _ in range(3)]
            for client in clients:
                client.sendall(b"hello")
                assert client.recv(100) == b"hello"
            (tmp_path / "go").touch()
            yield service, clients
        finally:
            service.kill()
            for client in clients:
                client.close()


def run(command: str, pid: int, directory: Path) -> str:
    """What a command of the page prints; a dashboard is ended when it listens, `top` when it shows a hub."""
    words = command.replace("PID", str(pid)).replace("FILE.gsr", "hang.gsr").split()
    if words[0] == "kill":
        subprocess.run(words, check=True, timeout=20)
        return ""
    words = [sys.executable, "-m", *words]
    if words[3] == "top":
        with in_a_terminal(pid) as (viewer, fd):
            seen = read_until(fd, b"MainThread")
            os.write(fd, b"q")
            read_until(fd, b"\0")  # to its end
            assert viewer.wait(20) == 0
        return seen.decode()
    if words[3] == "serve":
        with subprocess.Popen([*words, "--port", "0"], cwd=directory, stderr=subprocess.PIPE, text=True) as viewer:
            assert viewer.stderr is not None
            line = viewer.stderr.readline()
            (url,) = re.findall(r"http://127.0.0.1:\d+", line)
            assert httpx.get(f"{url}/api/rings").json()["rings"]
            viewer.send_signal(signal.SIGINT)
            assert viewer.wait(20) == 0
        return line
    done = subprocess.run(words, cwd=directory, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, (command, done.stderr)
    assert "Traceback" not in done.stderr
    return done.stdout


def test_every_command_of_the_page_answers_while_the_service_hangs_and_after_it_was_killed(
    tmp_path: Path, hanging: tuple[subprocess.Popen[str], list[socket.socket]]
) -> None:
    service, _ = hanging
    directory = where(tmp_path)
    deadline = time.monotonic() + 30
    while "seen in" not in (text := run("greenscope ps", service.pid, directory)):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    head, seen, table = text.splitlines()[1], text.splitlines()[2], text.splitlines()[5:]
    assert re.search(r"away from its poll for .* \(report #\d+ has run for ", head)
    assert re.search(r"re/__init__\.py:\d+ match < .*/service\.py:\d+ report", seen)
    assert table[0].split()[1] == "report"
    assert sum(line.split()[1] == "serve" for line in table) == 3

    printed = {command: run(command, service.pid, directory) for command in BLOCKS}
    assert 're.match("(a+)+$"' in printed["greenscope stacks PID"]
    assert f"process {service.pid}, hub 1" in printed["greenscope info hang.gsr"]
    (events,) = (text for command, text in printed.items() if command.startswith("greenscope events"))
    assert "stall_begin" not in events.splitlines()[0]
    assert "stall_begin" in events.splitlines()[-1]

    for command in INLINE:
        run(command, service.pid, directory)
    service.kill()
    service.wait()
    for command in ("greenscope ps PID", "greenscope stacks PID", "greenscope snapshot PID -o dead.gsr"):
        run(command, service.pid, directory)
    assert "died" in run("greenscope ps PID", service.pid, directory)


def test_the_page_names_every_command_that_one_on_call_needs() -> None:
    assert {command.split()[1] for command in BLOCKS + INLINE if command.startswith("greenscope")} >= {
        "ps", "top", "stacks", "snapshot", "events", "info", "rings", "serve",
    }  # fmt: skip
