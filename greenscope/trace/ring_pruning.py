"""How long the rings of dead processes are kept: by age, by number and by the space they take.

Nothing that lives is ever removed, and only what a recorder named: a recording that somebody put into the
trace directory under a name of his own stays. Every hub that opens its ring asks for this, so it looks at
the directory only now and then, whoever asked last.

Two that prune at once must not remove what the other one's removal made room for (a name is a process's
number, and numbers are reused), so a lock on the marker file lets one in at a time. A ring is locked
before it gets its name and never again later, so what is found dead stays dead.
"""

from __future__ import annotations

import os
import re
import time
from _socket import AF_UNIX, SOCK_STREAM
from _socket import socket as _socket  # the one that patching leaves alone
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fcntl import LOCK_EX, LOCK_NB
from fcntl import flock as _flock
from os import close as _close  # by name: patching puts others in their place
from os import open as _open
from pathlib import Path

from greenscope.trace.ring_file import UNNAMED
from greenscope.trace.rings import FoundRing, rings_in

__all__ = ["KeepLimits", "prune", "prune_now_and_then"]

_MARKER = ".pruned"
_EVERY_SECONDS = 5.0
_SHARE = 100  # of the time at most one part in so many is spent on it, however many rings there are
_LONGEST_SECONDS = 600.0
_LEFT_OVER_SECONDS = 60.0
_RECORDERS_NAME = re.compile(r"\d+-\d+(-\d+)?\.gsr")


@dataclass(frozen=True, slots=True)
class KeepLimits:
    """What is kept of rings whose process is gone; the newest are.

    Args:
        seconds: since they were last written to.
        rings: how many.
        bytes: on the disk, all together.
    """

    seconds: float = 24 * 3600
    rings: int = 64
    bytes: int = 512 << 20


def prune_now_and_then(directory: Path, limits: KeepLimits) -> None:
    """Prune, unless somebody did moments ago, or does.

    What cannot be removed stays: whoever opens a ring has nothing to do about it.
    """
    with suppress(OSError):
        wait = (directory / _MARKER).stat().st_mtime - time.time()
        if 0 < wait < _LONGEST_SECONDS:  # or else a clock was set
            return
    with suppress(OSError):
        total = os.statvfs(directory)
        # What is meant for a disk may be much for a memory file system.
        fitting = min(limits.bytes, total.f_blocks * total.f_frsize // 4)
        prune(directory, KeepLimits(limits.seconds, limits.rings, fitting), LOCK_EX | LOCK_NB)


def prune(directory: Path, limits: KeepLimits, lock: int = LOCK_EX, dry_run: bool = False) -> list[FoundRing]:
    """Remove the rings of dead processes that are beyond the limits.

    Args:
        directory: where rings are.
        limits: what is kept.
        lock: how to keep others out: ``LOCK_EX`` waits for them, ``LOCK_EX | LOCK_NB`` raises BlockingIOError.
        dry_run: remove nothing.

    Returns:
        What was removed, or would be.

    Raises:
        OSError: the directory cannot be written, or another prunes it.
    """
    with _alone(directory, lock):
        rings = rings_in(directory)
        beyond = list(_beyond(rings, limits, time.time()))
        if not dry_run:
            for ring in beyond:
                ring.path.unlink(missing_ok=True)
            _remove_left_over(directory, {ring.pid for ring in rings if ring.state == "live"})
    return beyond


@contextmanager
def _alone(directory: Path, lock: int) -> Iterator[None]:
    fd = _open(directory / _MARKER, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _flock(fd, lock)
        began = time.monotonic()
        yield
        # The marker's time is when it is to be done again.
        due = time.time() + max(_EVERY_SECONDS, min(_SHARE * (time.monotonic() - began), _LONGEST_SECONDS / 2))
        os.utime(fd, (due, due))
    finally:
        _close(fd)


def _beyond(rings: list[FoundRing], limits: KeepLimits, now: float) -> Iterator[FoundRing]:
    total_bytes = 0
    dead = [ring for ring in rings if ring.state in ("died", "ended") and _RECORDERS_NAME.fullmatch(ring.path.name)]
    for number, ring in enumerate(sorted(dead, key=lambda ring: ring.seen_wall_ns, reverse=True), start=1):
        total_bytes += ring.size_bytes
        age = now - ring.seen_wall_ns / 1e9
        if age > limits.seconds or number > limits.rings or total_bytes > limits.bytes:
            yield ring


def _remove_left_over(directory: Path, living: set[int]) -> None:
    """What was left by processes that were killed: rings they were making, and their watchdogs' sockets."""
    half_made = list(directory.glob(f"*{UNNAMED}"))
    sockets = [path for path in directory.glob("*.sock") if path.stem.isdecimal() and int(path.stem) not in living]
    for path in half_made + sockets:
        with suppress(FileNotFoundError):
            old = time.time() - path.stat().st_mtime > _LEFT_OVER_SECONDS
            if old and (path.suffix == UNNAMED or _nobody_listens(path)):
                path.unlink()


def _nobody_listens(path: Path) -> bool:
    client = _socket(AF_UNIX, SOCK_STREAM)
    try:
        client.setblocking(False)
        client.connect(str(path))
    except ConnectionRefusedError:
        return True
    except OSError:  # its line of callers is full, or its name is too long to be called
        return False
    finally:
        client.close()
    return False
