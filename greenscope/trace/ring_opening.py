"""Where a hub's ring goes, how large it is, and what happens where it can go nowhere.

The trace directory is ``$GREENSCOPE_DIR``, or else ``greenscope`` in ``$XDG_RUNTIME_DIR``, or else
``greenscope-UID`` in the directory for temporary files; it and the files in it are their owner's alone.
A program must not fail for want of its trace: where there is no space, or no directory, or a setting that
makes no sense, its ring is in memory, and one line on stderr says so.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from greenscope.errors import GreenscopeError
from greenscope.trace import ring_file
from greenscope.trace.ring_file import RingFile, RingSizes
from greenscope.trace.ring_layout import EVENT
from greenscope.trace.ring_pruning import KeepLimits, prune_now_and_then

__all__ = ["keep_limits", "open_ring", "say", "trace_directory", "unwritten_ring"]

_NOTHING = RingSizes(events=16, slots=1, sites=1, string_bytes=64, watch=0)
# Nobody else can read it: what a crash dump should show of it is its newest part.
_IN_MEMORY = RingSizes(events=1 << 15)

_said: set[str] = set()


def open_ring(hub: int, thread_name: str) -> RingFile | None:
    """The ring of a new hub, in the trace directory, or else in memory.

    Args:
        hub: number of the hub within the process, from 1.
        thread_name: name of the thread it runs in.

    Returns:
        None, if there is not even memory for it.
    """
    try:
        sizes = _sizes()
        directory = trace_directory()
        prune_now_and_then(directory, _limits())
        return _create(directory, hub, thread_name, sizes)
    except (OSError, GreenscopeError) as error:
        reason = error
    try:
        file = ring_file.create(None, hub, thread_name, _IN_MEMORY)
    except OSError as error:
        say(f"{error}; nothing is recorded")
        return None
    say(f"{reason}; recording into memory that nobody else can read")
    return file


def unwritten_ring(hub: int, thread_name: str) -> RingFile:
    """A ring for a recorder that is closed before anything is written."""
    return ring_file.create(None, hub, thread_name, _NOTHING)


def trace_directory(create: bool = True) -> Path:
    """The directory of the rings, made if need be.

    Raises:
        GreenscopeError: it is somebody else's, or others may write to it.
        OSError: it cannot be made.
    """
    named = os.environ.get("GREENSCOPE_DIR")
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if named:
        directory = Path(named).absolute()  # a ring's path is good for as long as it is open
    elif runtime and os.access(runtime, os.W_OK):
        directory = Path(runtime) / "greenscope"
    else:
        directory = Path(tempfile.gettempdir()) / f"greenscope-{os.getuid()}"
    if create:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = directory.stat()
        if status.st_uid != os.getuid():
            raise GreenscopeError(f"trace directory {directory} is not yours; set GREENSCOPE_DIR to one that is")
        if status.st_mode & 0o077:
            raise GreenscopeError(
                f"trace directory {directory} is open to others (mode {status.st_mode & 0o777:o}); "
                "chmod 700 it, or set GREENSCOPE_DIR to one that is yours alone"
            )
    return directory


def keep_limits() -> KeepLimits:
    """What is kept of rings whose process is gone, as the environment says.

    Raises:
        GreenscopeError: a setting makes no sense.
    """
    default = KeepLimits()
    hours = _setting("GREENSCOPE_KEEP_HOURS", os.environ.get("GREENSCOPE_KEEP_HOURS"), "whole hours", 0, 1 << 20)
    rings = _setting("GREENSCOPE_KEEP_RINGS", os.environ.get("GREENSCOPE_KEEP_RINGS"), "a number", 0, 1 << 20)
    size = _setting("GREENSCOPE_KEEP_MB", os.environ.get("GREENSCOPE_KEEP_MB"), "whole mebibytes", 0, 1 << 30)
    return KeepLimits(
        seconds=default.seconds if hours is None else hours * 3600,
        rings=default.rings if rings is None else rings,
        bytes=default.bytes if size is None else size << 20,
    )


def _create(directory: Path, hub: int, thread_name: str, sizes: RingSizes) -> RingFile:
    name = f"{os.getpid()}-{hub}"
    path = directory / f"{name}.gsr"
    if not path.exists():
        with suppress(FileExistsError):
            return ring_file.create(path, hub, thread_name, sizes)
    # A dead process had this number, or one of another container that shares the directory has it.
    return ring_file.create(directory / f"{name}-{time.time_ns()}.gsr", hub, thread_name, sizes)


def say(text: str) -> None:
    """Say it once, however many hubs there will be; a stderr that is closed is no reason to fail."""
    if text not in _said and sys.stderr is not None:
        _said.add(text)
        with suppress(OSError, ValueError):
            sys.stderr.write(f"greenscope: {text}\n")


def _sizes() -> RingSizes:
    megabytes = _setting("GREENSCOPE_RING_MB", os.environ.get("GREENSCOPE_RING_MB"), "whole mebibytes", 1, 1 << 16)
    return RingSizes() if megabytes is None else RingSizes(events=megabytes * (1 << 20) // EVENT.size)


def _limits() -> KeepLimits:
    try:
        return keep_limits()
    except GreenscopeError as error:
        say(f"{error}; rings of dead processes are kept as if it were not set")
        return KeepLimits()


def _setting(name: str, text: str | None, wanted: str, least: int, most: int) -> int | None:
    """A whole number from the environment; None where it is not set.

    Raises:
        GreenscopeError: it makes no sense.
    """
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 12 and least <= int(text) <= most):
        raise GreenscopeError(f"{name} is {text!r}: give {wanted}, {least} to {most}")
    return int(text)
