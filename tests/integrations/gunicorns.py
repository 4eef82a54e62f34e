"""Real gunicorns for the tests, each with a directory of its own, and clients that keep count of what they lose."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

from greenscope.trace.rings import FoundRing, rings_in

HERE = Path(__file__).resolve().parent
OURS = "greenscope.integrations.gunicorn.GreenscopeWorker"
SECONDS = 40
"""That anything here may take on a machine that is busy with something else."""


def until(condition: Callable[[], Any], what: str) -> Any:
    """What the condition is, as soon as it is true."""
    end = time.monotonic() + SECONDS
    while not (result := condition()):
        assert time.monotonic() < end, f"not in {SECONDS} s: {what}"
        time.sleep(0.01)
    return result


class Gunicorn:
    """One that runs, and has workers that answer."""

    def __init__(self, directory: Path, kind: str, options: tuple[str, ...], bind: str) -> None:
        directory.mkdir()
        self.directory = directory
        self.traces = directory / "traces"
        environment = {
            **os.environ,
            "HOME": str(directory),  # where it would put a socket to control it by
            "XDG_RUNTIME_DIR": "",
            "GREENSCOPE_DIR": str(self.traces),
            "GREENSCOPE_RING_MB": "4",
            "PYTHONPATH": os.pathsep.join(filter(None, (str(HERE), os.environ.get("PYTHONPATH")))),
        }
        command = [sys.executable, "-m", "gunicorn", "-k", kind, "--bind", bind, "--log-file", "error.log",
                   "--access-logfile", "access.log", *options, "served_app:app"]  # fmt: skip
        self.process = subprocess.Popen(command, cwd=directory, env=environment, stderr=subprocess.PIPE, text=True)

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def log(self) -> str:
        path = self.directory / "error.log"
        return path.read_text() if path.exists() else ""

    def listens(self) -> str:
        """Where, as it says itself, if it does yet."""
        found = re.search(r"Listening at: (\S+)", self.log)
        assert self.process.poll() is None or found, f"it ended:\n{self.log}{self.stderr()}"
        return found[1].rstrip(",") if found else ""

    @property
    def port(self) -> int:
        return int(until(self.listens, "a gunicorn that listens").rpartition(":")[2])

    def workers(self) -> set[int]:
        """The processes of its workers; no zombies."""
        text = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        return {int(pid) for pid in text.split() if not _is_zombie(pid)}

    def send(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def get(self, path: str = "/", **headers: str) -> tuple[int, str]:
        """A request on a connection of its own; status and body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)
        try:
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def ring_of(self, pid: int) -> FoundRing:
        """The ring of a process, which may have begun just now; there has to be one and no more."""

        def found() -> list[FoundRing]:
            return [ring for ring in rings_in(self.traces) if ring.pid == pid and not ring.snapshot_ns]

        (ring,) = until(found, f"a ring of process {pid}")
        return ring

    def ends(self) -> int:
        """Its exit code, in the end."""
        return self.process.wait(timeout=SECONDS)

    def stderr(self) -> str:
        assert self.process.stderr is not None
        return self.process.stderr.read()

    def kill(self) -> None:
        """Leave nothing of it behind."""
        for pid in self.workers() if self.process.poll() is None else ():
            os.kill(pid, signal.SIGKILL)
        self.process.kill()
        self.process.wait()
        assert self.process.stderr is not None
        self.process.stderr.close()


@contextmanager
def gunicorn(
    directory: Path, *options: str, kind: str = OURS, bind: str = "127.0.0.1:0", workers: int = 2
) -> Iterator[Gunicorn]:
    """A gunicorn whose workers have all booted."""
    served = Gunicorn(directory, kind, ("--workers", str(workers), *options), bind)
    try:
        until(served.listens, "a gunicorn that listens")
        until(lambda: len(served.workers()) >= workers, "workers")
        yield served
    finally:
        served.kill()


class Load:
    """Clients that ask for the same again and again, over connections that are kept, until told to stop."""

    def __init__(self, served: Gunicorn, path: str = "/work", clients: int = 8, refused_is_end: bool = False) -> None:
        self.port = served.port
        self.path = path
        self.refused_is_end = refused_is_end
        self.answers: list[int] = []
        """The pid of each answer's worker."""
        self.lost: list[tuple[int, str]] = []
        """Requests that got no answer: whose connection it was (0: not known), and why."""
        self.refused = 0
        """Connections that were not accepted, and so no request sent."""
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(clients)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        self.answers_more(len(self._threads) * 2)
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        self.wait()

    def wait(self) -> None:
        """Wait for the clients' end."""
        for thread in self._threads:
            thread.join(SECONDS)
            assert not thread.is_alive(), "a client that never ends"

    def answers_more(self, number: int) -> None:
        """Wait for so many more answers."""
        goal = len(self.answers) + number
        until(lambda: len(self.answers) >= goal, f"{number} more answers; lost {self.lost}, refused {self.refused}")

    def answered_by_others_than(self, pids: set[int]) -> None:
        """Wait until somebody else has answered."""
        until(lambda: self.answers[-1] not in pids, f"an answer from others than {pids}")

    def _ask(self) -> None:
        while not self._stop.is_set():
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)
            try:
                connection.connect()
            except OSError:
                self.refused += 1
                if self.refused_is_end:
                    return
                time.sleep(0.001)
                continue
            self._ask_over(connection)
            connection.close()

    def _ask_over(self, connection: http.client.HTTPConnection) -> None:
        pid = 0
        while not self._stop.is_set():
            try:
                connection.request("GET", self.path)
                response = connection.getresponse()
                body = response.read()
                if response.status != 200:
                    raise OSError(f"status {response.status}")
            except (OSError, http.client.HTTPException) as error:
                self.lost.append((pid, repr(error)))
                return
            pid = int(body.split()[0])
            self.answers.append(pid)
            if response.will_close:
                return


def raw(address: Any, data: bytes, family: socket.AddressFamily = socket.AF_INET) -> bytes:
    """What comes back for bytes that are sent as they are."""
    with socket.socket(family) as connection:
        connection.settimeout(SECONDS)
        connection.connect(address)
        connection.sendall(data)
        answer = b""
        with suppress(ConnectionResetError):  # it did not read all of what it refused
            while data := connection.recv(4096):
                answer += data
        return answer


def _is_zombie(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True
