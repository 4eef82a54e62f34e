"""Runs the programs in ``clients/`` under monkey patching, as their users would: each in a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.acceptance.recorded import Park, standstill, waits_of

PROGRAMS = Path(__file__).with_name("clients")
GREEN = ("-W", "error::RuntimeWarning", "-m", "greenscope.runtime.monkey")  # MonkeyPatchWarning is one
SECONDS = 50


@dataclass(frozen=True)
class Ended:
    """A program that ran to its end."""

    facts: dict[str, Any]
    """What it said of itself."""
    parks: list[Park]
    """Its waits for descriptors, from its trace."""

    def parks_at(self, address: str) -> list[Park]:
        """Its waits for a peer."""
        return [park for park in self.parks if park.peer == address]


@dataclass
class Serving:
    """A server of ours that runs; ``parks`` is filled when it has ended."""

    facts: dict[str, Any]
    parks: list[Park]


def run(program: str | Path, *arguments: object, green: tuple[str, ...] = GREEN) -> Ended:
    """A client from its beginning to its end, which comes without a word on stderr.

    Args:
        program: its path, or name in ``clients/``.
        arguments: the program's.
        green: the interpreter's, which make it green; none for one that patches by itself.
    """
    process = _start(program, arguments, green)
    try:
        said, complained = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        where = standstill(_directory(), process.pid)
        process.kill()
        said, complained = process.communicate()
        raise AssertionError(f"{program} hangs:\n{where}\n{said}{complained}") from None
    assert process.returncode == 0 and not complained, f"{program}: status {process.returncode}\n{said}{complained}"
    return Ended(json.loads(said.splitlines()[-1]), waits_of(_directory(), process.pid))


@contextlib.contextmanager
def serving(program: str, *arguments: object) -> Iterator[Serving]:
    """A server from the line on that says where it listens; SIGTERM ends it, in good order."""
    process = _start(program, arguments, GREEN)
    assert process.stdout is not None and process.stderr is not None
    try:
        line = process.stdout.readline()
        assert line, f"{program} did not start:\n{process.stderr.read()}"
        server = Serving(json.loads(line), [])
        yield server
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            complained = process.communicate(timeout=SECONDS)[1]
        except subprocess.TimeoutExpired:
            where = standstill(_directory(), process.pid)
            process.kill()
            complained = process.communicate()[1]
            raise AssertionError(f"{program} does not end:\n{where}\n{complained}") from None
    assert process.returncode == 0 and not complained, f"{program}: status {process.returncode}\n{complained}"
    server.parks += waits_of(_directory(), process.pid)


def _start(program: str | Path, arguments: tuple[object, ...], green: tuple[str, ...]) -> subprocess.Popen[str]:
    command = [sys.executable, *green, str(PROGRAMS / program), *map(str, arguments)]
    environment = {**os.environ, "GREENSCOPE_RING_MB": "16", "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def _directory() -> Path:
    return Path(os.environ["GREENSCOPE_DIR"])
