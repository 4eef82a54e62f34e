"""The README's program, under the README's commands."""

from __future__ import annotations

import contextlib
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx

from greenscope.trace.events import Kind
from greenscope.trace.reader import RingReader

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
README = (ROOT / "README.md").read_text()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def service(directory: Path) -> int:
    """Write the README's service, on a free port instead of its own: the port."""
    (program,) = re.findall(r"```python\n# (service\.py)\n(.*?)```", README, re.DOTALL)
    port = free_port()
    (directory / program[0]).write_text(program[1].replace("7000", str(port)))
    return port


def command(beginning: str) -> list[str]:
    """The command of the README's table that begins so, as words."""
    (line,) = re.findall(rf"^\| `({beginning}[^`]*)` \|", README, re.MULTILINE)
    found: list[str] = line.split()
    return found


def words(command: list[str], *options: str) -> list[str]:
    name, subcommand, *rest = command
    assert name == "greenscope"
    return [sys.executable, "-m", "greenscope", subcommand, *options, *rest]


def echoed(port: int) -> bytes:
    deadline = time.monotonic() + 20
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
                connection.sendall(b"hello")
                return connection.recv(100)
        except ConnectionRefusedError:
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_the_service_runs_under_run_and_record_and_its_recording_is_served(tmp_path: Path) -> None:
    run, record, serve = map(command, ("greenscope run ", "greenscope record ", "greenscope serve "))
    port = service(tmp_path)
    for started in (words(run, "--port", "0"), words(record)):
        with subprocess.Popen(started, cwd=tmp_path, stderr=subprocess.DEVNULL, start_new_session=True) as child:
            assert echoed(port) == b"hello"
            child.send_signal(signal.SIGTERM)
            assert child.wait(20) == 128 + signal.SIGTERM
    with contextlib.closing(RingReader(tmp_path / "trace.gsr")) as reader:
        assert {"hub", "main", "accept"} <= {row.name for row in reader.greenlets()}
        assert {record.text for record in reader.read() if hasattr(record, "text")} >= {f"listening 127.0.0.1:{port}"}
    with subprocess.Popen(words(serve, "--port", "0"), cwd=tmp_path, stderr=subprocess.PIPE, text=True) as viewer:
        assert viewer.stderr is not None
        url = re.findall(r"http://\S+", viewer.stderr.readline())[0]
        assert [ring["state"] for ring in httpx.get(f"{url}/api/rings").json()["rings"]] == ["died"]
        viewer.send_signal(signal.SIGINT)
        assert viewer.wait(20) == 0


THREADS = """
import queue, threading
answers = queue.Queue()
def work():
    answers.put(threading.current_thread().name)
for _ in range(3):
    threading.Thread(target=work, name="worker").start()
print([answers.get() for _ in range(3)])
"""


def test_a_program_with_threads_runs_under_the_commands_of_the_pages_and_each_is_a_lane(tmp_path: Path) -> None:
    pages = README + (DOCS / "coming-from-gevent.md").read_text()
    shown = re.findall(r"^    (greenscope .* app\.py)$", pages, re.MULTILINE)
    assert {line.split()[1] for line in shown} == {"run", "record"}
    (tmp_path / "app.py").write_text(THREADS)
    for line in sorted(set(shown)):
        options = ("--port", "0") if line.split()[1] == "run" else ()
        done = subprocess.run(words(line.split(), *options), cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stdout) == (0, "['worker', 'worker', 'worker']\n"), done.stderr
    with contextlib.closing(RingReader(tmp_path / "trace.gsr")) as reader:
        named = [event for event in reader.read() if getattr(event, "kind", None) == Kind.GREENLET_NAME]
        assert [reader.string(event.arg) for event in named].count("worker") == 3


def test_the_first_screen_is_two_commands() -> None:
    shown = re.findall(r"^    (make \w+)", README.split("## ")[0], re.MULTILINE)
    assert shown == ["make demo", "make test"]
    makefile = (Path(__file__).resolve().parent.parent / "Makefile").read_text()
    for target in ("demo", "test", "build", "wheels", "check", "help"):
        assert re.search(rf"^{target}:.*## ", makefile, re.MULTILINE)
