"""The standard library's ``_thread`` module, green: a thread is a greenlet, a lock parks instead of blocking.

Owns what ``threading`` is built of: ``start_new_thread``, the locks, ``get_ident``, and what tells a thread's
end: a sentinel lock up to Python 3.12, a handle from 3.13. ``monkey`` puts them in place of the originals.

The main greenlet of a native thread keeps that thread's number, so that ``signal.pthread_kill`` and
``sys._current_frames`` go on working for it, and ``threading``'s table of threads needs no new keys. The hub
has its main greenlet's: a signal's handler that runs there is in the main thread, as it would be without us.
A greenlet's number is its address; native ones are addresses of threads' stacks, so the two never meet.
"""

from __future__ import annotations

import _thread
import contextlib
import os
import sys
import threading
import traceback
import weakref
from collections.abc import Callable
from time import monotonic
from types import SimpleNamespace
from typing import Any

from greenlet import GreenletExit

from greenscope.runtime import rlock
from greenscope.runtime.greenlet import Greenlet
from greenscope.runtime.hub import Hub, get_hub
from greenscope.runtime.line import name_awaited, number_of, park_for
from greenscope.runtime.lock import Lock
from greenscope.runtime.waiter import State, Waiter, running
from greenscope.trace.events import Exit, Ready, Wait

__all__ = [
    "LockType",
    "RLock",
    "ThreadHandle",
    "allocate_lock",
    "exit",
    "get_ident",
    "interrupt_main",
    "stack_size",
    "start_joinable_thread",
    "start_new_thread",
]

TIMEOUT_MAX = _thread.TIMEOUT_MAX

_native_ident = _thread.get_ident
_getpid = os.getpid

error = _thread.error
exit = _thread.exit  # noqa: A001  (its name there)
interrupt_main = _thread.interrupt_main  # the hub sees to it that it strikes there
stack_size = _thread.stack_size  # of native threads: a greenlet's grows as it needs


def get_ident(greenlet: Any = None) -> int:
    """The number of a thread: the current one's, or that of a greenlet of this native thread."""
    try:
        me = running() if greenlet is None else greenlet
    except RuntimeError:  # greenlet has been finalized: the interpreter is about to end
        return _native_ident()
    if me.parent is None or type(me) is Hub:
        return _native_ident()
    return id(me)


get_ident.__module__ = "_thread"  # that it is to be found there is the interpreter's own tests' business


class LockType(Lock):
    """A lock that shows itself as the standard library's; any thread may release it."""

    __slots__ = ()
    __module__ = "_thread"

    def __init_subclass__(cls) -> None:
        if cls.__module__ != __name__:
            raise TypeError("type '_thread.lock' is not an acceptable base type")

    def acquire_lock(self, blocking: bool = True, timeout: float = -1) -> bool:
        """As ``acquire``."""
        return self.acquire(blocking, timeout)

    def release_lock(self) -> None:
        """As ``release``."""
        self.release()

    def locked_lock(self) -> bool:
        """As ``locked``."""
        return self.locked()

    def _at_fork_reinit(self) -> None:
        self.__init__()  # type: ignore[misc]

    def __repr__(self) -> str:
        kind = type(self)
        name = "_thread.lock" if kind is LockType else f"{kind.__module__}.{kind.__qualname__}"
        return f"<{'locked' if self.locked() else 'unlocked'} {name} object at {id(self):#x}>"


allocate_lock = LockType


class RLock(rlock.RLock):
    """A lock that its owner may take again, and that shows itself as the standard library's."""

    __slots__ = ()
    __module__ = "_thread"

    def __repr__(self) -> str:
        state = "locked" if self._count else "unlocked"
        owner = 0 if self._owner is None else get_ident(self._owner)
        name = f"{type(self).__module__}.{type(self).__qualname__}"
        return f"<{state} {name} object owner={owner} count={self._count} at {id(self):#x}>"


class ThreadGreenlet(Greenlet):
    """The greenlet that a thread is."""

    __slots__ = ("_tell", "thread_handle")

    is_thread = True  # the hub asks, at Ctrl-C

    def __init__(self, function: Callable[..., object], arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        super().__init__(_call, function, arguments, keywords)
        self._tell: list[Callable[[], object]] = []
        self.thread_handle: ThreadHandle | None = None
        thread = getattr(function, "__self__", None)  # Thread._bootstrap, nearly always
        name = getattr(thread, "_name", None)
        self.name = name if isinstance(name, str) else getattr(function, "__qualname__", repr(function))

    def start(self) -> None:
        _running.add(self)
        super().start()

    def _finish(self, how: Exit) -> None:
        # Here and not in ``_call``: one that is killed before its first turn ends as well.
        _running.discard(self)
        super()._finish(how)
        tell, self._tell = self._tell, []
        for one in tell:
            one()


_main = threading.main_thread().ident or 0
_main_pid = _getpid()
_running: set[ThreadGreenlet] = set()


def _call(function: Callable[..., object], arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
    try:
        function(*arguments, **keywords)
    except SystemExit:
        pass
    except GreenletExit:
        raise
    except BaseException as error:
        _report(function, error)


def _report(function: Callable[..., object], error: BaseException) -> None:
    error.__traceback__ = error.__traceback__ and error.__traceback__.tb_next  # our own frame
    message = "Exception ignored in thread started by"
    if sys.unraisablehook is not sys.__unraisablehook__:
        hook: Any = sys.unraisablehook
        names_function = sys.version_info >= (3, 13)
        hook(
            SimpleNamespace(
                exc_type=type(error),
                exc_value=error,
                exc_traceback=error.__traceback__,
                err_msg=message + (f" {function!r}" if names_function else ""),
                object=None if names_function else function,
            )  # nobody can make the interpreter's own
        )
    elif sys.stderr is not None:
        with contextlib.suppress(Exception):
            print(f"{message} {function!r}:", file=sys.stderr)
            traceback.print_exception(error, file=sys.stderr)
            sys.stderr.flush()


def start_new_thread(
    function: Callable[..., object], args: tuple[Any, ...], kwargs: dict[str, Any] | None = None, /
) -> int:
    """Call ``function`` in a new thread, a greenlet of this native one; its number."""
    _check_call(function, args, kwargs)
    new = ThreadGreenlet(function, args, kwargs or {})
    new.start()
    return id(new)


def _check_call(function: object, args: object, kwargs: object) -> None:
    if not callable(function):
        raise TypeError("first arg must be callable")
    if not isinstance(args, tuple):
        raise TypeError("2nd arg must be a tuple")
    if kwargs is not None and not isinstance(kwargs, dict):
        raise TypeError("optional 3rd arg must be a dictionary")


def main_ident() -> int:
    """The number of the main thread: after a fork, of the one that forked."""
    if _main_pid != _getpid():  # asked by threading's after-fork hook, which runs before ours
        return get_ident()
    return _main


def thread_count() -> int:
    """How many threads run, besides the native ones."""
    return len(_running)


# Python 3.11 and 3.12: a lock that is released when the thread has ended.


class Sentinel(LockType):
    """Held while a thread runs: who joins the thread waits for it.

    It is nobody's turn when it is released: threading looks whether it is free then, and many may join.
    """

    __slots__ = ()

    _what = "a thread to end"

    def acquire(self, blocking: bool = True, timeout: float | None = -1) -> bool:
        """As a lock's, but that somebody else may come first."""
        if super().acquire(False):
            return True
        if not blocking or timeout == 0:
            return False
        end = None if timeout is None or timeout < 0 else monotonic() + timeout
        while True:
            left = None if end is None else end - monotonic()
            if left is not None and left <= 0:
                return False
            self.wait(left)
            if super().acquire(False):
                return True


def set_sentinel() -> LockType:
    """A lock, to be acquired by the current thread, that is released when it ends."""
    lock = Sentinel()
    me = running()
    if isinstance(me, ThreadGreenlet):
        me._tell.append(lambda: lock.release() if lock.locked() else None)
    return lock


# Python 3.13: a handle.


class ThreadHandle:
    """Says whether a thread has ended, and waits for that."""

    __slots__ = ("__weakref__", "_done", "_greenlet", "_joiners", "_pid", "ident")

    def __init__(self) -> None:
        self.ident: int | None = None
        self._greenlet: ThreadGreenlet | None = None
        self._done = False
        self._joiners: list[Waiter] = []
        self._pid = _getpid()

    def is_done(self) -> bool:
        """Whether it has ended; in a forked child, all but the one that forked have."""
        # Asked by threading's after-fork hook, which runs before ours.
        return self._done or self._pid != _getpid()

    def join(self, timeout: float | None = None) -> None:
        """Wait until it has ended, for at most ``timeout`` seconds; None and less than 0 are for ever.

        Raises:
            RuntimeError: it was not started, or is the current one.
        """
        if self.ident is None:
            raise RuntimeError("thread not started")
        if self.is_done():
            return
        if self._greenlet is not None and self._greenlet is running():
            raise RuntimeError("Cannot join current thread")
        if timeout is not None and timeout > TIMEOUT_MAX:
            raise OverflowError("timeout value is too large")
        hub = get_hub()
        name = self._greenlet.name if self._greenlet is not None else "main"
        waiter = Waiter(Wait.JOIN, 0, f"thread {name} to end")
        state: State | None = getattr(self._greenlet, "_state", None)
        if state is not None and state.hub is hub:
            name_awaited(waiter, number_of(state.handle))
        self._joiners.append(waiter)
        try:
            if not self._done:  # a signal's handler may have ended it since
                park_for(hub, waiter, None if timeout is None or timeout < 0 else timeout)
        finally:
            if waiter in self._joiners:
                self._joiners.remove(waiter)

    def _set_done(self) -> None:
        if self.ident is None:
            raise RuntimeError("thread not started")
        if self._done:
            return
        self._done = True
        joiners, self._joiners = self._joiners, []
        for waiter in joiners:
            waiter.wake(Ready.GREENLET, get_hub().recorder.current)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} object: ident={self.ident or 0}>"


def make_thread_handle(ident: int) -> ThreadHandle:
    """The handle of a thread that runs already."""
    handle = ThreadHandle()
    handle.ident = ident
    _made.add(handle)
    return handle


_made: weakref.WeakSet[ThreadHandle] = weakref.WeakSet()


def start_joinable_thread(
    function: Callable[[], object], handle: ThreadHandle | None = None, daemon: bool = True
) -> ThreadHandle:
    """Call ``function`` in a new thread.

    Args:
        function: what.
        handle: is to tell its end; a new one, if None.
        daemon: whether the program may end before it.

    Returns:
        The handle.
    """
    if not callable(function):
        raise TypeError("thread function must be callable")
    if handle is None:
        handle = ThreadHandle()
    elif not isinstance(handle, ThreadHandle):
        raise TypeError("'handle' must be a _ThreadHandle")
    elif handle.ident is not None:
        raise RuntimeError("thread already started")
    new = ThreadGreenlet(function, (), {})
    handle.ident = id(new)
    handle._greenlet = new
    new.thread_handle = handle
    new._tell.append(handle._set_done)
    if not daemon:
        _to_join.append(handle)
        new._tell.append(lambda: _to_join.remove(handle))
    new.start()
    return handle


_to_join: list[ThreadHandle] = []


def join_all() -> None:
    """Wait for every thread that is not a daemon: what ``_thread._shutdown`` does."""
    while _to_join:
        _to_join[0].join()


def _after_fork_in_child() -> None:
    """Only the thread that forked goes on."""
    global _main, _main_pid  # noqa: PLW0603  (the process has one main thread)
    me = running()
    _main = ident = get_ident()
    _main_pid = _getpid()
    for made in list(_made):
        if made.ident == ident:
            made._pid = _getpid()
    for thread in list(_running):
        handle = thread.thread_handle
        if thread is me:
            if handle is not None:
                handle._pid = _getpid()
            continue
        _running.discard(thread)
        thread._tell.clear()
        if handle is not None:
            handle._joiners.clear()
            handle._done = True
            if handle in _to_join:
                _to_join.remove(handle)


os.register_at_fork(after_in_child=_after_fork_in_child)
