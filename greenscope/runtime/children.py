"""Waiting until a child process has something to say, without asking it what.

Owns ``await_child``: it parks until ``waitpid`` would not block, and takes no status. So the status stays
for whoever asks for it, and nobody's children are taken but one's own.

One process that is to end has a descriptor for that (``pidfd_open``, Linux 5.3), which works in every
thread and needs no signal. For all else (any child, a process group, one that stops or goes on) a thread
blocks in ``waitid``, which can look without taking; greenlets that wait for the same share it. Where there
is neither, ``waitpid`` is asked again and again, at most 20 times a second.
"""

from __future__ import annotations

import os
from _thread import RLock, get_ident, start_new_thread
from collections.abc import Callable
from os import WCONTINUED, WUNTRACED, getpgrp, register_at_fork
from os import close as _close
from signal import SIG_BLOCK, pthread_sigmask, valid_signals
from typing import Any

from greenscope.runtime.current import bystanders
from greenscope.runtime.hub import Hub, get_hub, sleep
from greenscope.runtime.loop import READ
from greenscope.runtime.waiter import Waiter
from greenscope.trace.events import Ready, Wait

__all__ = ["await_child"]

_pidfd_open: Callable[[int], int] | None = getattr(os, "pidfd_open", None)
_waitid: Any = getattr(os, "waitid", None)

_PATIENCE = 0.05  # seconds, where a process can only be polled


def await_child(pid: int, options: int = 0, check: Callable[[], bool] | None = None) -> None:
    """Park until ``waitpid(pid, options)`` would not block. May return too early, so ask it then, and come again.

    Args:
        pid: as for ``waitpid``: a process; -1 is any child, 0 or less a process group.
        options: as for ``waitpid``: WUNTRACED and WCONTINUED ask for more than its end.
        check: is asked once more when nothing can be missed any more; if it is true, there is nothing to wait for.
    """
    if pid > 0 and not options & (WUNTRACED | WCONTINUED) and _pidfd_open is not None:
        try:
            pidfd = _pidfd_open(pid)
        except ProcessLookupError:  # it has ended, and its status was taken
            return
        except OSError:  # no such call here, or no descriptor left
            pass
        else:
            try:
                if check is None or not check():
                    _await_pidfd(pid, pidfd)
            finally:
                _close(pidfd)
            return
    if _waitid is not None:
        _await_in_thread(pid, options)
    else:
        sleep(_PATIENCE)


def _await_pidfd(pid: int, pidfd: int) -> None:
    hub = get_hub()
    what = f"process {pid} to end"
    watcher = hub.loop.io(pidfd, READ, peer=what.encode())
    waiter = Waiter(Wait.CHILD, watcher.resource, what)
    try:
        watcher.start(waiter.wake, Ready.WATCHER, watcher.resource)
        hub.park(waiter)
    finally:
        watcher.close()


class _Vigil:
    """A thread in ``waitid``, and the greenlets that wait for what it will see.

    When they are killed it stays there, for the next who waits for the same: nothing can call it back.
    """

    def __init__(self, pid: int, options: int) -> None:
        self._what = pid, options
        self.waiting: list[tuple[Hub, Waiter]] = []

    def work(self) -> None:
        """What the thread does."""
        bystanders.add(get_ident())  # whom it wakes counts by itself, and it may stay when nobody waits
        pthread_sigmask(SIG_BLOCK, valid_signals())  # a signal that the main thread blocks is not for us either
        pid, options = self._what
        flags = os.WEXITED | os.WNOWAIT
        flags |= os.WSTOPPED if options & WUNTRACED else 0
        flags |= os.WCONTINUED if options & WCONTINUED else 0
        try:
            if pid > 0:
                _waitid(os.P_PID, pid, flags)
            elif pid == -1:
                _waitid(os.P_ALL, 0, flags)
            else:
                _waitid(os.P_PGID, -pid or getpgrp(), flags)
        except OSError:  # there are no children (left): waitpid will say so
            pass
        try:
            with _lock:
                del _vigils[self._what]
                for hub, waiter in self.waiting:
                    hub.loop.call_threadsafe(waiter.wake, Ready.OTHER, 0)
        finally:
            bystanders.discard(get_ident())


def _await_in_thread(pid: int, options: int) -> None:
    hub = get_hub()
    whom = f"process {pid}" if pid > 0 else "a child process" if pid == -1 else "a process of a group"
    waiter = Waiter(Wait.CHILD, 0, f"{whom} to {'change' if options & (WUNTRACED | WCONTINUED) else 'end'}")
    key = pid, options & (WUNTRACED | WCONTINUED)
    with _lock:
        vigil = _vigils.get(key)
        if vigil is None:
            vigil = _vigils[key] = _Vigil(*key)
            start_new_thread(vigil.work, ())
        vigil.waiting.append((hub, waiter))
    hub.loop.active += 1
    try:
        hub.park(waiter)
    finally:
        hub.loop.active -= 1
        with _lock:
            if (hub, waiter) in vigil.waiting:
                vigil.waiting.remove((hub, waiter))


def _after_fork_in_child() -> None:
    global _lock  # noqa: PLW0603  (it may have been held by a thread that is not here)
    _lock = RLock()
    _vigils.clear()


_lock = RLock()
_vigils: dict[tuple[int, int], _Vigil] = {}
register_at_fork(after_in_child=_after_fork_in_child)
