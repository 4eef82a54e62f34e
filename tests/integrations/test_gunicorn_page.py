"""The program of docs/gunicorn.md, under its commands: what the page says of the worker that timed out is found."""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
import sys
from fcntl import LOCK_EX, flock
from pathlib import Path

import httpx
import pytest

from greenscope.trace.rings import rings_in
from tests.integrations.gunicorns import SECONDS, until

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "gunicorn.md").read_text()
PROGRAM = re.findall(r"```python\n# app\.py\n(.*?)```", PAGE, re.DOTALL)[0]
COMMANDS = re.findall(r"^    ((?:gunicorn|greenscope) .*)$", PAGE, re.MULTILINE)
LISTENS = re.compile(r"Listening at: http://127\.0\.0\.1:(\d+)")


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """Where the page's reader is, in a directory that has nothing called greenscope in it."""
    directory = tmp_path / "here"
    directory.mkdir()
    (directory / "app.py").write_text(f"# app.py\n{PROGRAM}")
    return directory


def command(beginning: str, *more: str) -> list[str]:
    """The page's command that begins so, with this interpreter."""
    (line,) = (line for line in COMMANDS if line.startswith(beginning))
    name, *words = shlex.split(line)
    return [sys.executable, "-m", name, *words[:-1], *more, words[-1]]


def serving(arguments: list[str], here: Path) -> tuple[subprocess.Popen[bytes], str]:
    """A command of the page that serves, and the URL at which it does."""
    log = here / "log"
    with log.open("wb") as file:
        process = subprocess.Popen(arguments, cwd=here, stderr=file)
    try:
        port = until(lambda: LISTENS.search(log.read_text()), "a gunicorn that listens")[1]
    except AssertionError as error:
        process.kill()
        process.wait()
        raise AssertionError(log.read_text()) from error
    return process, f"http://127.0.0.1:{port}"


def test_the_first_command_and_the_configurations_line_have_a_ring_a_worker(here: Path, trace_directory: Path) -> None:
    (line,) = re.findall(r"^worker_class = .*$", PAGE, re.MULTILINE)
    (here / "gunicorn.conf.py").write_text(f"{line}\nworkers = 3\n")
    by_file = [sys.executable, "-m", "gunicorn", "-b", "127.0.0.1:0", "app:app"]
    for arguments, workers in (
        (command("gunicorn -k greenscope.integrations.gunicorn.GreenscopeWorker --workers 2", "-b", "127.0.0.1:0"), 2),
        (by_file, 3),
    ):
        before = len(rings_in(trace_directory))
        process, url = serving(arguments, here)
        try:
            assert httpx.get(url, timeout=SECONDS).text == "done\n"
            until(lambda n=before + workers: len(rings_in(trace_directory)) == n, "a ring a worker")
        finally:
            process.terminate()
            assert process.wait(SECONDS) == 0


def test_run_ends_with_gunicorn(here: Path) -> None:
    arguments = command("greenscope run", "-b", "127.0.0.1:0")
    process, url = serving([*arguments[:4], "--port", "0", *arguments[4:]], here)
    try:
        assert httpx.get(url, timeout=SECONDS).text == "done\n"
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(SECONDS) == 0


@pytest.mark.usefixtures("default_stalls")
def test_the_worker_that_timed_out_is_diagnosed_as_the_page_says(here: Path) -> None:
    (beginning,) = (line for line in COMMANDS if "--timeout 2" in line)
    with open(here / "report.lock", "w") as held:
        flock(held, LOCK_EX)
        process, url = serving(command(beginning, "-b", "127.0.0.1:0"), here)
        try:
            (path,) = re.findall(r"^    curl http://127\.0\.0\.1:8000(\S+)$", PAGE, re.MULTILINE)
            httpx.get(f"{url}{path}", timeout=SECONDS)
            log = (here / "log").read_text()
            victim = re.findall(r"WORKER TIMEOUT \(pid:(\d+)\)", log)[0]
            arguments = [victim if word == "4711" else word for word in command("greenscope diagnose")]
            said = subprocess.run(arguments, capture_output=True, text=True, timeout=SECONDS, check=True).stdout
        finally:
            process.terminate()
            assert process.wait(SECONDS) == 0
    (severity, sentence, end), *_ = re.findall(r"^    (\w+: blocking-call)\n    (.*) for … (.*)$", PAGE, re.MULTILINE)
    found = re.sub(r" for \S+ s ", " for … ", said)
    assert severity in found and f"{sentence} for … {end}" in found, said
