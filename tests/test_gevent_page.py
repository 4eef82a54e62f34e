"""The program of docs/gevent.md, by each of the page's three ways in."""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from greenscope.trace.events import Kind, Wait
from tests.integrations.gevent_help import read, reading

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "gevent.md").read_text()
SHOP = re.findall(r"```python\n# shop\.py\n(.*?)```", PAGE, re.DOTALL)[0]
LINES = re.findall(r"^    (\S.*)$", PAGE, re.MULTILINE)
GREENSCOPE = (sys.executable, "-m", "greenscope")
SECONDS = 60


def run(*command: str, directory: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    base = {name: value for name, value in os.environ.items() if not name.startswith("GREENSCOPE")}
    return subprocess.run(
        command,
        cwd=directory,
        env={**base, "GREENSCOPE_DIR": str(directory / "rings"), **environment},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def reasons(path: Path) -> set[int]:
    return {event.reason for event in read(path).events if event.kind == Kind.GREENLET_PARK}


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    (tmp_path / "shop.py").write_text(SHOP)
    return tmp_path


def test_its_commands_record_the_shop_and_show_where_its_time_went(shop: Path) -> None:
    commands = [shlex.split(line) for line in LINES if line.startswith("greenscope ")]
    assert [command[1] for command in commands] == ["run", "record", "profile"]
    for command in commands:
        options = ["--port", "0"] if command[1] == "run" else []
        done = run(*GREENSCOPE, command[1], *options, *command[2:], directory=shop)
        assert done.returncode == 0, done.stderr
    assert "shop.py" in done.stdout
    assert {Wait.LOCK, Wait.READ, Wait.TIMER, Wait.JOIN} <= reasons(shop / "shop.gsr")


def test_its_import_records_where_the_environment_says_so(shop: Path) -> None:
    (line,) = (line for line in LINES if line == "import greenscope.auto")
    (shop / "shop.py").write_text(f"{line}\n{SHOP}")
    (told,) = (line for line in LINES if line.startswith("GREENSCOPE="))
    setting, *command = shlex.split(told)
    assert command == ["python", "shop.py"]
    done = run(sys.executable, *command[1:], directory=shop, **dict([setting.split("=")]))
    assert (done.returncode, done.stderr) == (0, "")
    (ring,) = (shop / "rings").glob("*.gsr")
    assert Wait.LOCK in reasons(ring)


APP = """
import gevent
def app(environ, start_response):
    gevent.sleep(0.001)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"bread"]
"""


def test_its_line_in_gunicorns_configuration_records_each_worker(tmp_path: Path) -> None:
    (line,) = (line for line in LINES if line.endswith("import post_fork"))
    (tmp_path / "gunicorn.conf.py").write_text(f"{line}\n")
    (tmp_path / "app.py").write_text(APP)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    rings = tmp_path / "rings"
    command = [sys.executable, "-m", "gunicorn", "-k", "gevent", "-w", "2", "-b", f"127.0.0.1:{port}"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GREENSCOPE")}
    with subprocess.Popen(
        [*command, "app:app"],
        cwd=tmp_path,
        env={**environment, "GREENSCOPE_DIR": str(rings)},
        stderr=subprocess.PIPE,
        text=True,
    ) as server:
        try:
            by = time.monotonic() + SECONDS
            while len(list(rings.glob("*-1.gsr"))) < 2 or not answers(port):
                assert server.poll() is None
                assert time.monotonic() < by, "the workers did not begin"
                time.sleep(0.05)
            server.send_signal(signal.SIGTERM)
            _, said = server.communicate(timeout=SECONDS)
        finally:
            server.kill()
    assert server.returncode == 0, said
    pids, served = set(), 0
    for path in rings.glob("*-1.gsr"):
        with reading(path) as ring:
            pids.add(ring.info.pid)
            assert ring.info.pid != server.pid
        names = read(path).names.values()
        assert "main" in names
        served += sum(name.endswith(".handle") for name in names)
    assert len(pids) == 2
    assert served >= 1


def answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=SECONDS) as answer:
            return bool(answer.read() == b"bread")
    except OSError:
        return False
