"""Asks the watchdog of a living process, on its socket: for the stacks of all greenlets, as they are now.

For whoever looks from outside. The answer is another process's and is checked before it is used: a part
that is not as it should be is left out. Who cannot be asked is a ``NoAnswerError`` that says why, because the ring
has something to say of every process, and whoever asked goes on with that.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from os import close as _close  # by name: patching puts others in their place
from os import open as _open
from pathlib import Path
from socket import AF_UNIX
from socket import socket as _socket
from typing import Any

from greenscope.errors import GreenscopeError
from greenscope.trace.records import Site

__all__ = ["NoAnswerError", "Running", "Stacks", "ask", "stacks_of"]

SECONDS = 5.0
_MOST_BYTES = 256 << 20

Frames = tuple[Site, ...]
"""A stack, the innermost frame first."""


class NoAnswerError(GreenscopeError):
    """The process has no watchdog that answers; the message says why."""


@dataclass(frozen=True, slots=True)
class Running:
    """What a hub's thread does: ``greenlet`` runs (1: the hub itself), or the hub ``polls``; its stack."""

    greenlet: int
    polls: bool
    frames: Frames


@dataclass(frozen=True, slots=True)
class Stacks:
    """The stacks of a process.

    Args:
        gil: whether they are of one moment, and whole; else those of the parked are their call sites.
        running: by the number of the hub.
        parked: by the numbers of hub and greenlet.
        unknown: of greenlets that no hub knows.
    """

    gil: bool
    running: dict[int, Running]
    parked: dict[tuple[int, int], Frames]
    unknown: list[Frames]


def ask(directory: Path, pid: int, request: str, seconds: float = SECONDS) -> dict[str, Any]:
    """Ask a process's watchdog one thing.

    Args:
        directory: the trace directory.
        pid: the process.
        request: ``stacks``, ``snapshot`` or ``detail LEVEL``.
        seconds: how long to wait.

    Raises:
        NoAnswerError: nobody answers, or not what was asked.
    """
    try:
        data = _ask(directory, f"{pid}.sock", request.encode() + b"\n", seconds)
    except FileNotFoundError:
        raise NoAnswerError(
            "it has no watchdog (GREENSCOPE_STALL_MS=0, no C extension, or its trace directory could not have a socket)"
        ) from None
    except TimeoutError:
        raise NoAnswerError(f"its watchdog did not answer in {seconds:g} s; is it stopped?") from None
    except OSError as error:
        raise NoAnswerError(f"its watchdog cannot be asked: {error.strerror or error}") from None
    try:
        answer = json.loads(data.decode("utf-8", "replace"))
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise NoAnswerError("its watchdog hung up (are you the user that it runs as?)")
    if "error" in answer:
        raise NoAnswerError(str(answer["error"]))
    return answer


def stacks_of(directory: Path, pid: int) -> Stacks:
    """The stacks of a living process; raises as ``ask``."""
    answer = ask(directory, pid, "stacks")
    places = [_place(item) for item in _list(answer, "places")]

    def frames(item: dict[str, Any]) -> Frames:
        numbers = (n for n in _list(item, "stack") if isinstance(n, int) and 0 <= n < len(places))
        return tuple(places[number] for number in numbers)

    running, parked, unknown = {}, {}, []
    for item in _list(answer, "hubs"):
        running[_number(item, "hub")] = Running(_number(item, "greenlet"), item.get("polls") is True, frames(item))
    for item in _list(answer, "greenlets"):
        if _number(item, "hub"):
            parked[_number(item, "hub"), _number(item, "greenlet")] = frames(item)
        else:
            unknown.append(frames(item))
    return Stacks(answer.get("gil") is True, running, parked, unknown)


def _ask(directory: Path, name: str, request: bytes, seconds: float) -> bytes:
    # Through the directory's descriptor: a socket's path may have 107 bytes and no more.
    fd = _open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with _socket(AF_UNIX) as connection:
            connection.settimeout(seconds)
            connection.connect(f"/proc/self/fd/{fd}/{name}")
            connection.sendall(request)
            parts, size = [], 0
            while size < _MOST_BYTES and (part := connection.recv(1 << 20)):
                parts.append(part)
                size += len(part)
            return b"".join(parts)
    finally:
        _close(fd)


def _list(answer: object, name: str) -> list[Any]:
    found = answer.get(name) if isinstance(answer, dict) else None
    return found if isinstance(found, list) else []


def _number(item: object, name: str) -> int:
    found = item.get(name) if isinstance(item, dict) else None
    return found if isinstance(found, int) else 0


def _place(item: object) -> Site:
    if isinstance(item, list) and len(item) == 3:
        file, line, function = item
        if isinstance(file, str) and isinstance(line, int) and isinstance(function, str):
            return Site(file, line, function)
    return Site("?", 0, "?")
