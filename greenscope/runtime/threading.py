"""What ``threading`` needs of its own to run on greenlets; everything else in it is built of ``thread``'s.

Owns ``Event`` (one park instead of a lock, a condition and a second lock) and ``DummyThread``: what
``current_thread`` gives in a greenlet that no ``Thread`` started, such as a spawned one that logs. The
standard library would keep one for ever; here it goes with its greenlet. ``NativeJoin`` lets a greenlet wait
for a native thread, one that was started before the patching, without stopping the hub.
"""

from __future__ import annotations

import sys
import threading as _stdlib
import warnings
import weakref
from typing import Any

from greenscope.runtime import event
from greenscope.runtime.thread import (
    LockType,
    RLock,
    Sentinel,
    ThreadGreenlet,
    allocate_lock,
    get_ident,
    make_thread_handle,
)
from greenscope.runtime.threads import run_in_thread
from greenscope.runtime.waiter import running

__all__ = ["Event", "Lock", "RLock", "get_ident"]

Lock = allocate_lock

_dummy_init = _stdlib._DummyThread.__init__
_active: dict[int, Any] = _stdlib._active  # type: ignore[attr-defined]


class Event(event.Event):
    """A flag that threads can wait for; as the standard library's."""

    __slots__ = ()
    __module__ = "threading"

    def isSet(self) -> bool:  # noqa: N802  (its name there)
        """As ``is_set``, which replaced it."""
        warnings.warn("isSet() is deprecated, use is_set() instead", DeprecationWarning, stacklevel=2)
        return self.is_set()

    def __repr__(self) -> str:
        kind = type(self)
        state = "set" if self.is_set() else "unset"
        return f"<threading.{kind.__qualname__} at {id(self):#x}: {state}>"


class _DummyThread(_stdlib._DummyThread):
    """A thread for a greenlet that ``threading`` did not start."""

    def __init__(self) -> None:
        _dummy_init(self)
        me = running()
        if me.parent is None:
            return
        ident = get_ident()
        name = getattr(me, "name", None)
        if isinstance(name, str):
            self._name = name

        if isinstance(me, ThreadGreenlet) and sys.version_info < (3, 13):
            return  # there it stays, until the number is given out again

        def forget(_reference: object) -> None:
            if _active.get(ident) is me_thread():
                del _active[ident]

        me_thread = weakref.ref(self)
        self._greenlet = weakref.ref(me, forget)


DummyThread = _DummyThread


class NativeJoin:
    """Stands in for what tells a native thread's end: its lock up to Python 3.12, its handle from 3.13."""

    def __init__(self, original: Any) -> None:
        self._original = original

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """The lock's ``acquire``, in a thread if it has to wait."""
        if self._original.acquire(False):
            return True
        if not blocking or timeout == 0:
            return False
        return run_in_thread(self._acquire, timeout)

    def _acquire(self, timeout: float) -> bool:
        return bool(self._original.acquire(True, timeout))

    def join(self, timeout: float | None = None) -> None:
        """The handle's ``join``, in a thread if it has to wait."""
        if not self._original.is_done():
            run_in_thread(self._original.join, timeout)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._original, name)


def adopt_native_threads() -> None:
    """Let greenlets join the native threads that run already, and the main one."""
    main = _stdlib.main_thread()
    for thread in list(_active.values()):
        own: Any = vars(thread)
        if own.get("_tstate_lock") is not None:
            native = own["_tstate_lock"]
            own["_tstate_lock"] = new = _held_lock() if thread is main else NativeJoin(native)
            locks = _stdlib._shutdown_locks  # type: ignore[attr-defined]
            if native in locks:
                locks.discard(native)
                locks.add(new)
        elif own.get("_handle") is not None:
            if thread is main:
                own["_handle"] = make_thread_handle(main.ident or 0)
            else:
                own["_handle"] = NativeJoin(own["_handle"])


def _held_lock() -> LockType:
    lock = Sentinel()
    lock.acquire()
    return lock
