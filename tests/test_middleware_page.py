"""The programs of docs/middleware.md, under its commands, do what the page says."""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from greenscope.web.middleware.figures import WAITS
from tests.web.middleware.answers import metrics

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "middleware.md").read_text()
PROGRAMS = dict(re.findall(r"```python\n# (\w+\.py)\n(.*?)```", PAGE, re.DOTALL))
COMMANDS = re.findall(r"^    (GREENSCOPE_DEBUG=1 .*)$", PAGE, re.MULTILINE)


def words(command: str, fd: int) -> tuple[dict[str, str], list[str]]:
    """The environment and the command, on a descriptor that listens already instead of port 8000."""
    setting, program, *rest = shlex.split(command)
    name, value = setting.split("=")
    arguments = " ".join(rest).replace("--bind 127.0.0.1:8000", f"--bind fd://{fd}")
    arguments = arguments.replace("--host 127.0.0.1 --port 8000", f"--fd {fd}")
    assert f" {fd}" in arguments or f"//{fd}" in arguments
    return {name: value}, [sys.executable, "-m", program, *arguments.split()]


def test_the_page_has_a_command_for_each_of_its_programs() -> None:
    assert [command.split()[-1].split(":")[0] for command in COMMANDS[:2]] == ["shop", "mysite"]
    assert len(COMMANDS) == len(PROGRAMS) == 3


@pytest.mark.parametrize("command", COMMANDS, ids=["Flask", "Django", "FastAPI"])
def test_a_page_says_where_its_time_went(command: str, tmp_path: Path) -> None:
    for name, program in PROGRAMS.items():
        (tmp_path / name).write_text(program)
    with socket.create_server(("127.0.0.1", 0)) as listener, open(tmp_path / "log", "w+") as log:
        setting, program = words(command, listener.fileno())
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        process = subprocess.Popen(
            program, cwd=tmp_path, env={**os.environ, **setting}, pass_fds=[listener.fileno()], stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip
        listener.close()
        try:
            answer = httpx.get(url, timeout=30)
            assert answer.status_code == 200, (tmp_path / "log").read_text()
            assert "<h1>Orders</h1><greenscope-bar>" in answer.text
            said = metrics(answer.headers["server-timing"])
            assert {"total", "run", "ready"} <= set(said)
            waits = {"shop:app": {"wait-timer"}, "mysite:application": set(), "api:app": {"wait-join", "spawned"}}
            assert set(said) >= next(found for name, found in waits.items() if name in command)
            assert re.fullmatch(
                r'</__greenscope__/#ring=\d+-1&request=\d+>; rel="describedby"; title="[^"]+"', answer.headers["link"]
            )
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()


def test_every_metric_is_on_the_page() -> None:
    for metric in ["total", "run", "ready", "spawned", "lost", *(token for token, _ in WAITS.values())]:
        assert f"`{metric}`" in PAGE
