"""Real daemons for the acceptance tests: each on loopback, in a directory of its own, ended by its process id.

A daemon is ready when it says so in its log; nothing here waits for time to pass. One that is not installed
skips the test that wants it, with what to install; with ``GREENSCOPE_REQUIRE_DAEMONS=1``, as in CI, it fails it.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

REQUIRED = os.environ.get("GREENSCOPE_REQUIRE_DAEMONS") == "1"
READY_SECONDS = 60


@dataclass(frozen=True)
class Daemon:
    """One that runs: where it listens."""

    host: str
    port: int
    path: str
    """Of its Unix socket."""

    @property
    def address(self) -> str:
        """As the trace writes it."""
        return f"{self.host}:{self.port}"


def missing(what: str, how: str) -> None:
    """Skip this test for want of something; in CI, fail it."""
    message = f"{what} is not here: {how}"
    if REQUIRED:
        pytest.fail(f"{message} (GREENSCOPE_REQUIRE_DAEMONS=1)", pytrace=False)
    pytest.skip(message)


def need_program(name: str, package: str, path: str | None = None) -> str:
    """The path of a program, which Debian's ``package`` has."""
    found = shutil.which(name, path=path)
    if found is None:
        missing(name, f"`apt-get install {package}`")
    assert found is not None
    return found


def need_module(name: str) -> None:
    """A library of the extra ``acceptance``."""
    try:
        importlib.import_module(name)
    except ImportError as error:  # psycopg's says that there is no libpq, which PostgreSQL's package brings
        missing(f"the Python package {name} ({error})", "`pip install 'greenscope[acceptance]'`")


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@contextlib.contextmanager
def running(command: list[str], ready: str, end: signal.Signals, **how: object) -> Iterator[None]:
    """A process, from the line of its log that says ``ready`` on; ended with the signal ``end``."""
    process = subprocess.Popen(  # type: ignore[call-overload]
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **how
    )
    said: list[str] = []
    started = threading.Event()

    def listen() -> None:  # to the end: a daemon whose pipe is full stops
        for line in process.stdout:
            said.append(line)
            if ready in line:
                started.set()
        started.set()

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    try:
        started.wait(READY_SECONDS)
        assert any(ready in line for line in said), f"{command[0]} did not start:\n{''.join(said[-30:])}"
        yield
    finally:
        process.send_signal(end)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        listener.join(20)
        process.stdout.close()


@contextlib.contextmanager
def redis_server(directory: Path) -> Iterator[Daemon]:
    """A Redis that writes nothing to disk."""
    program = need_program("redis-server", "redis-server")
    daemon = Daemon("127.0.0.1", free_port(), str(directory / "redis.sock"))
    options = {
        "bind": daemon.host,
        "port": str(daemon.port),
        "unixsocket": daemon.path,
        "dir": str(directory),
        "save": "",
        "appendonly": "no",
        "tcp-backlog": "511",
    }
    command = [program, *(word for name, value in options.items() for word in (f"--{name}", value))]
    with running(command, "Ready to accept connections", signal.SIGTERM):
        yield daemon


@contextlib.contextmanager
def postgres() -> Iterator[Daemon]:
    """A cluster of PostgreSQL whose user is ``greenscope``, who needs no password."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name), reverse=True)
    path = os.pathsep.join([*map(str, versions), os.environ.get("PATH", "")])
    initdb = need_program("initdb", "postgresql", path)
    server = need_program("postgres", "postgresql", path)
    who: dict[str, object] = {}
    # Under /tmp and not in pytest's directory, which is closed to the user that has to run it.
    with tempfile.TemporaryDirectory(prefix="greenscope-postgres-", ignore_cleanup_errors=True) as directory:
        if os.getuid() == 0:  # which PostgreSQL refuses to be run by
            user = _unprivileged()
            os.chown(directory, user.pw_uid, user.pw_gid)
            who = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        who["cwd"] = directory
        who["env"] = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "TZ": "UTC"}
        cluster = f"{directory}/cluster"
        subprocess.run(  # type: ignore[call-overload]
            [initdb, "-D", cluster, "-U", "greenscope", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C"],
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            **who,
        )
        daemon = Daemon("127.0.0.1", free_port(), directory)
        settings = {
            "listen_addresses": daemon.host,
            "port": str(daemon.port),
            "unix_socket_directories": directory,
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
            "max_connections": "230",
            "shared_buffers": "16MB",
            "autovacuum": "off",
            "max_wal_senders": "0",
            "wal_level": "minimal",
        }
        command = [server, "-D", cluster, *(word for item in settings.items() for word in ("-c", "=".join(item)))]
        with running(command, "ready to accept connections", signal.SIGINT, **who):
            yield daemon


def _unprivileged() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    missing("a user to run PostgreSQL as", "make one called nobody")
    raise AssertionError
