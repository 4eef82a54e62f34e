"""Where the runtime meets the trace: one recorder a hub, told of every event.

``open_recorder`` gives a ring in the trace directory; a ring in memory where the directory cannot
be used, because a program must not fail for want of its trace; and with ``GREENSCOPE=0`` in the
environment one that is closed from the beginning, whose every call returns at once.

The trace directory is ``$GREENSCOPE_DIR``, or else ``greenscope`` in ``$XDG_RUNTIME_DIR``, or else
``greenscope-UID`` in the directory for temporary files; it and the files in it are their owner's alone.
"""

from __future__ import annotations

import atexit
import os
import socket
import sys
import tempfile
import time
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

from greenscope.errors import GreenscopeError
from greenscope.trace import ring_file
from greenscope.trace.here import here
from greenscope.trace.levels import levels
from greenscope.trace.ring_layout import EVENT

if TYPE_CHECKING:
    from greenscope.trace.ring_python import Ring
else:
    try:
        from greenscope.trace._ring import Ring
    except ImportError:
        from greenscope.trace.ring_python import Ring

__all__ = ["Recorder", "open_recorder", "trace_directory"]

KEEP_DEAD_SECONDS = 24 * 3600
KEEP_DEAD_RINGS = 32

# For a ring that is closed before anything is written.
_NOTHING = ring_file.RingSizes(events=16, slots=1, sites=1, string_bytes=64)

_PACKAGE = Path(__file__).resolve().parent.parent
_INTERNAL = (f"{_PACKAGE / 'runtime'}{os.sep}", f"{_PACKAGE / 'trace'}{os.sep}")
# What a program waits *through*: the line that it waits at is the one that called these, if there is one.
_PLUMBING = tuple(
    str(Path(socket.__file__).parent / name)
    for name in (
        "concurrent/futures/", "contextlib.py", "ftplib.py", "http/client.py", "imaplib.py", "poplib.py", "queue.py",
        "selectors.py", "smtplib.py", "socket.py", "ssl.py", "subprocess.py", "threading.py", "urllib/", "xmlrpc/",
    )
)  # fmt: skip


class Recorder(Ring):
    """A ring, and the file it is in."""

    def __init__(self, file: ring_file.RingFile) -> None:
        self._file = file
        super().__init__(memoryview(file.memory), _INTERNAL, _PLUMBING, file.lock)
        _open.add(self)

    @property
    def recording(self) -> bool:
        """Whether it writes anything: not with ``GREENSCOPE=0``, nor after ``close``."""
        return self in _open

    @property
    def path(self) -> Path | None:
        """The ring's file; None when it is in memory only."""
        return self._file.path

    def close(self) -> None:
        """The hub ended in good order: say so, and write nothing more."""
        if self in _open:
            _open.discard(self)
            if here.recorder is self:
                here.recorder = None
            self._file.close()
            self.detach()
            self._file.release()

    def _say_ended(self) -> None:
        # What runs after this, at the very end of the interpreter, is still recorded.
        self._file.close()

    def _leave_to_parent(self) -> None:
        # After a fork: the file, and the lock, are the parent's.
        self.detach()
        self._file.release()


_open: weakref.WeakSet[Recorder] = weakref.WeakSet()
levels.recorders = lambda: _open


def open_recorder(hub: int, thread_name: str) -> Recorder:
    """The recorder of a new hub, and so of this thread; one that is closed already if ``GREENSCOPE=0`` is set.

    Args:
        hub: number of the hub within the process, from 1.
        thread_name: name of the thread it runs in.

    Returns:
        A recorder; its ``path`` is None if no other process can read it.
    """
    if os.environ.get("GREENSCOPE") == "0":
        recorder = Recorder(ring_file.create(None, hub, thread_name, _NOTHING))
        recorder.close()
        return recorder
    try:
        sizes = _sizes()
        directory = trace_directory()
        _prune(directory)
        file = ring_file.create(_free_path(directory, hub), hub, thread_name, sizes)
    except (OSError, GreenscopeError) as error:
        print(f"greenscope: {error}; recording into memory that nobody else can read", file=sys.stderr)
        file = ring_file.create(None, hub, thread_name, ring_file.RingSizes())
    here.recorder = recorder = Recorder(file)
    recorder.set_detail(levels.detail)
    return recorder


def trace_directory(create: bool = True) -> Path:
    """The directory of the rings, made if need be.

    Raises:
        GreenscopeError: it is somebody else's, or others may write to it.
        OSError: it cannot be made.
    """
    named = os.environ.get("GREENSCOPE_DIR")
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if named:
        directory = Path(named)
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


def _sizes() -> ring_file.RingSizes:
    megabytes = os.environ.get("GREENSCOPE_RING_MB")
    if not megabytes:
        return ring_file.RingSizes()
    try:
        wanted = int(megabytes)
    except ValueError:
        wanted = 0
    if not 1 <= wanted <= 1 << 16:
        raise GreenscopeError(f"GREENSCOPE_RING_MB is {megabytes!r}: give whole mebibytes, 1 to 65536")
    return ring_file.RingSizes(events=wanted * (1 << 20) // EVENT.size)


def _free_path(directory: Path, hub: int) -> Path:
    path = directory / f"{os.getpid()}-{hub}.gsr"
    if path.exists():  # of a dead process that had this number
        path = directory / f"{os.getpid()}-{hub}-{time.time_ns()}.gsr"
    return path


def _prune(directory: Path) -> None:
    """Remove what dead processes left a day ago, and all but their newest rings."""
    rings = []
    for path in directory.glob("*.gsr"):
        try:
            rings.append((path.stat().st_mtime, path))
        except FileNotFoundError:  # another process prunes as well
            continue
    oldest = time.time() - KEEP_DEAD_SECONDS
    for rank, (changed, path) in enumerate(sorted(rings, reverse=True)):
        if rank >= KEEP_DEAD_RINGS or changed < oldest:
            try:
                if not ring_file.is_locked(path):
                    path.unlink()
            except FileNotFoundError:
                continue


def _at_exit() -> None:
    for recorder in list(_open):
        recorder._say_ended()


def _after_fork() -> None:
    for recorder in list(_open):
        recorder._leave_to_parent()
    _open.clear()
    here.recorder = None


atexit.register(_at_exit)
os.register_at_fork(after_in_child=_after_fork)
