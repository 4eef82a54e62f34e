"""Where the runtime meets the trace: one recorder a hub, told of every event.

``open_recorder`` gives a ring in the trace directory, or in memory where that cannot be used
(``ring_opening.py``); with ``GREENSCOPE=0`` in the environment one that is closed from the beginning,
whose every call returns at once.
"""

from __future__ import annotations

import atexit
import os
import socket
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

from greenscope.trace.events import Snapshot
from greenscope.trace.here import here
from greenscope.trace.levels import levels
from greenscope.trace.ring_file import RingFile
from greenscope.trace.ring_opening import open_ring, trace_directory, unwritten_ring
from greenscope.trace.stall_log import log_of, stall_in
from greenscope.trace.watchdog import trigger, watch

if TYPE_CHECKING:
    from greenscope.trace.ring_python import Ring
else:
    try:
        from greenscope.trace._ring import Ring
    except ImportError:
        from greenscope.trace.ring_python import Ring

__all__ = ["Recorder", "open_recorder", "trace_directory"]

_PACKAGE = Path(__file__).resolve().parent.parent
_INTERNAL = tuple(f"{_PACKAGE / part}{os.sep}" for part in ("runtime", "trace", "integrations", "web"))
# What a program waits *through*: the line that it waits at is the one that called these, if there is one.
_PLUMBING = tuple(
    str(Path(socket.__file__).parent / name)
    for name in (
        "concurrent/futures/", "contextlib.py", "ftplib.py", "http/client.py", "imaplib.py", "poplib.py", "queue.py",
        "selectors.py", "smtplib.py", "socket.py", "ssl.py", "subprocess.py", "threading.py", "urllib/", "xmlrpc/",
    )
)  # fmt: skip


class Recorder(Ring):
    """A ring, and the file it is in.

    Args:
        file: where it goes.
        plumbing: beginnings of files through which this thread's program waits, beside the standard library's.
    """

    def __init__(self, file: RingFile, plumbing: tuple[str, ...] = ()) -> None:
        self._file = file
        super().__init__(memoryview(file.memory), _INTERNAL, (*_PLUMBING, *plumbing), file.lock)
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

    def snapshot_because(self, reason: Snapshot) -> None:
        """Something went wrong: have the watchdog keep what led to it, unless it did so a moment ago."""
        if self in _open:
            trigger(reason)

    def on_stall_over(self) -> None:
        """A stall is over: have the runtime say so in the program's log, if there is somebody who reads it."""
        tell = levels.on_stall
        if tell is not None and log_of() is not None:
            with memoryview(self._file.memory) as memory:
                text = stall_in(memory)
            if text is not None:
                tell(text)

    def say_ended(self) -> None:
        """The program ends in good order. What still runs, at the very end of the interpreter, is recorded, too."""
        self._file.close()

    def _leave_to_parent(self) -> None:
        # After a fork: the file, and the lock, are the parent's.
        self.detach()
        self._file.release()


_open: weakref.WeakSet[Recorder] = weakref.WeakSet()


def _all_open() -> list[Recorder]:
    while True:
        try:
            return list(_open)
        except RuntimeError:  # another thread's hub began meanwhile
            continue


levels.recorders = _all_open


def open_recorder(hub: int, thread_name: str, plumbing: tuple[str, ...] = ()) -> Recorder:
    """The recorder of a new hub, and so of this thread; one that is closed already if ``GREENSCOPE=0`` is set.

    Args:
        hub: number of the hub within the process, from 1.
        thread_name: name of the thread it runs in.
        plumbing: beginnings of files through which its program waits: a line in one is shown if there is no better.

    Returns:
        A recorder; its ``path`` is None if no other process can read it.
    """
    file = open_ring(hub, thread_name) if os.environ.get("GREENSCOPE") != "0" else None
    if file is None:
        recorder = Recorder(unwritten_ring(hub, thread_name))
        recorder.close()
        return recorder
    here.recorder = recorder = Recorder(file, plumbing)
    watch(recorder)
    recorder.set_detail(levels.detail)
    recorder.stacks = levels.stacks
    return recorder


def _at_exit() -> None:
    for recorder in _all_open():
        recorder.say_ended()


def _after_fork() -> None:
    for recorder in _all_open():
        recorder._leave_to_parent()
    _open.clear()
    here.recorder = None


atexit.register(_at_exit)
os.register_at_fork(after_in_child=_after_fork)
