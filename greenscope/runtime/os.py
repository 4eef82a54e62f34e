"""System calls of ``os`` that let other greenlets run while they wait, and fork.

Owns gevent's ``os``: reads and writes of descriptors, by waiting (``nb_``) or in a thread (``tp_``); and
the standard library's ``read`` and ``write``, ``fork`` and ``waitpid``, which behave as there and only
wait differently. What is not here is in ``os``.

A forked child has a hub of its own, made when it first waits; that needs no function of its own here,
because every fork of Python's is noticed. Children are waited for by number: nobody's status is taken
but that of the process asked for.
"""

from __future__ import annotations

from _thread import get_ident
from collections.abc import Callable
from fcntl import F_GETFL, fcntl
from os import (
    O_RDONLY,
    O_RDWR,
    O_WRONLY,
    WNOHANG,
    get_blocking,
    posix_spawn,
    posix_spawnp,
    register_at_fork,
    set_blocking,
)
from os import close as _close
from os import fork as _fork
from os import forkpty as _forkpty
from os import read as _read
from os import system as _system
from os import wait4 as _wait4
from os import waitpid as _waitpid
from os import write as _write
from select import PIPE_BUF, POLLIN, POLLOUT
from typing import TYPE_CHECKING, Any

from greenscope.runtime.children import await_child
from greenscope.runtime.current import current
from greenscope.runtime.fileio import wait_fd, would_block
from greenscope.runtime.hub import get_hub
from greenscope.runtime.loop import READ, WRITE, Loop
from greenscope.runtime.threads import run_in_thread
from greenscope.runtime.waiter import running

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

    from greenscope.runtime.watchers import ChildWatcher

__implements__ = ["close", "fork", "forkpty", "read", "system", "wait", "wait3", "wait4", "waitpid", "write"]
__all__ = [
    "close",
    "fork",
    "fork_and_watch",
    "fork_gevent",
    "forkpty",
    "forkpty_and_watch",
    "forkpty_gevent",
    "make_nonblocking",
    "nb_read",
    "nb_write",
    "posix_spawn",
    "posix_spawnp",
    "read",
    "system",
    "tp_read",
    "tp_write",
    "wait",
    "wait3",
    "wait4",
    "waitpid",
    "write",
]

_KEPT = 64  # ends of watched children that nobody has asked for yet


# Closing, reading and writing.


def close(fd: int) -> None:
    """Close a descriptor; whoever waits on it in this thread gets EBADF, instead of waiting for ever."""
    hub = current.hub
    if hub is not None and not hub.loop.closed and hub.loop.thread == get_ident():
        hub.loop.closing_fd(fd)
    _close(fd)


def make_nonblocking(fd: int) -> bool | None:
    """Put a descriptor, and every duplicate of it in whatever process, into non-blocking mode.

    Returns:
        True if it was not before, else None.
    """
    if not get_blocking(fd):
        return None
    set_blocking(fd, False)
    return True


def nb_read(fd: int, n: int) -> bytes:
    """Up to ``n`` bytes of a non-blocking descriptor, when there are any; none at the end."""
    while True:
        try:
            return _read(fd, n)
        except BlockingIOError:
            pass
        wait_fd(fd, READ)


def nb_write(fd: int, buf: ReadableBuffer) -> int:
    """Write to a non-blocking descriptor when it takes something; how many bytes it took."""
    while True:
        try:
            return _write(fd, buf)
        except BlockingIOError:
            pass
        wait_fd(fd, WRITE)


def tp_read(fd: int, n: int) -> bytes:
    """``os.read`` in a thread, for descriptors that nothing can wait for, such as files on a slow disk."""
    return run_in_thread(_read, fd, n)


def tp_write(fd: int, buf: ReadableBuffer) -> int:
    """``os.write`` in a thread."""
    return run_in_thread(_write, fd, buf)


def read(fd: int, length: int, /) -> bytes:
    """``os.read``: of a descriptor that blocks, other greenlets run meanwhile; of another it raises, as ever."""
    if get_blocking(fd):
        while would_block(fd, POLLIN) and not _only(fd, O_WRONLY):
            wait_fd(fd, READ)
    return _read(fd, length)


def write(fd: int, data: ReadableBuffer, /) -> int:
    """``os.write``: to a descriptor that blocks everything is written, and other greenlets run meanwhile."""
    if not get_blocking(fd) or (not would_block(fd, POLLOUT) and memoryview(data).nbytes <= PIPE_BUF):
        return _write(fd, data)
    sent = 0
    with memoryview(data) as view, view.cast("B") as octets:
        while True:
            while would_block(fd, POLLOUT) and not _only(fd, O_RDONLY):
                wait_fd(fd, WRITE)
            try:  # more than this blocks, although the descriptor is ready
                sent += _write(fd, octets[sent : sent + PIPE_BUF])
            except OSError:
                if sent:  # the next call will say it
                    return sent
                raise
            if sent >= len(octets):
                return sent


def _only(fd: int, mode: int) -> bool:
    """Whether a descriptor is open for one direction only: the other is never ready, and the call refuses it."""
    return fcntl(fd, F_GETFL) & (O_RDONLY | O_WRONLY | O_RDWR) == mode


# Processes.


def fork_gevent() -> int:
    """``os.fork``; the child has a hub of its own, and none of the parent's other greenlets."""
    pid = _fork()
    if pid:
        forget_child(pid)
    return pid


def forkpty_gevent() -> tuple[int, int]:
    """``os.forkpty``; as ``fork_gevent``."""
    pid, fd = _forkpty()
    if pid:
        forget_child(pid)
    return pid, fd


fork = fork_gevent
forkpty = forkpty_gevent


def fork_and_watch(
    callback: Callable[[Any], object] | None = None,
    loop: Loop | None = None,
    ref: bool = False,
    fork: Callable[[], int] = fork_gevent,
) -> int:
    """Fork, and have the child's status taken as soon as it ends; ``waitpid`` gives it then.

    Args:
        callback: called in the hub with the child's watcher (``pid``, ``rpid``, ``rstatus``); must not wait.
        loop: the loop that watches; None for the current hub's.
        ref: whether the child keeps that loop alive.
        fork: what forks.

    Returns:
        As ``os.fork``.
    """
    pid = fork()
    if pid:
        _watch(pid, callback, loop, ref)
    return pid


def forkpty_and_watch(
    callback: Callable[[Any], object] | None = None,
    loop: Loop | None = None,
    ref: bool = False,
    forkpty: Callable[[], tuple[int, int]] = forkpty_gevent,
) -> tuple[int, int]:
    """``fork_and_watch`` with ``os.forkpty``."""
    pid, fd = forkpty()
    if pid:
        _watch(pid, callback, loop, ref)
    return pid, fd


def _watch(pid: int, callback: Callable[[Any], object] | None, loop: Loop | None, ref: bool) -> None:
    watcher = (loop or get_hub().loop).child(pid, ref=ref)
    _watched[pid] = watcher
    watcher.start(_ended, watcher, callback)


def _ended(watcher: ChildWatcher, callback: Callable[[Any], object] | None) -> None:
    watcher.close()
    ended = [pid for pid, other in _watched.items() if other.rpid]
    for pid in ended[:-_KEPT]:
        del _watched[pid]
    if callback is not None:
        callback(watcher)


def forget_child(pid: int) -> None:
    """Forget how a watched child ended that had the number of a process just begun."""
    _watched.pop(pid, None)


_watched: dict[int, ChildWatcher] = {}


def waitpid(pid: int, options: int, /) -> tuple[int, int]:
    """``os.waitpid``, which lets other greenlets run until the process has ended (or stopped, as asked for).

    Args:
        pid: a process; -1 is any child, 0 and less a process group.
        options: WNOHANG, WUNTRACED, WCONTINUED.

    Raises:
        ChildProcessError: there is no such child, or its status was taken.
    """
    while True:
        done = _status(pid, options | WNOHANG)
        if done[0] or options & WNOHANG:
            return done
        if _in_hub():
            return _waitpid(pid, options)
        await_child(pid, options)


def wait() -> tuple[int, int]:
    """``waitpid`` of any child."""
    return waitpid(-1, 0)


def wait3(options: int) -> tuple[int, int, Any]:
    """``wait4`` of any child."""
    return wait4(-1, options)


def wait4(pid: int, options: int) -> tuple[int, int, Any]:
    """``waitpid`` that also says what the process has used of the machine."""
    while True:
        done = _wait4(pid, options | WNOHANG)
        if done[0] or options & WNOHANG:
            return done
        if _in_hub():
            return _wait4(pid, options)
        await_child(pid, options)


def system(command: Any) -> int:
    """``os.system``, in a thread."""
    return _system(command) if _in_hub() else run_in_thread(_system, command)  # noqa: S605


def _in_hub() -> bool:
    """Whether a callback runs, which must not wait; it blocks, as it would anywhere."""
    hub = current.hub
    return hub is not None and running() is hub


def _status(pid: int, options: int) -> tuple[int, int]:
    """What is known now; (0, 0) if there is nothing yet."""
    for one in list(_watched) if pid == -1 else [pid] if pid in _watched else []:
        watcher = _watched[one]
        if not watcher.rpid and watcher.loop.thread == get_ident():
            watcher.fire()
        if watcher.rpid:
            del _watched[one]
            if watcher.rstatus is not None:
                return watcher.rpid, watcher.rstatus
        elif pid > 0:
            return 0, 0
    return _waitpid(pid, options)


register_at_fork(after_in_child=_watched.clear)
