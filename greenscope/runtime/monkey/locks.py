"""Locks that existed before the patching.

A native lock is held by a native thread, and all greenlets of one are one to it: a greenlet that parks while
it holds a plain lock stops the whole hub in the next one that wants it; an RLock lets both in. So the locks
of modules become green ones, if nobody else has a reference (a condition made of it would go on using the
old one) and nobody holds them. Locks inside objects stay: conditions, events and queues that were made
before hold theirs only between two waits.
"""

from __future__ import annotations

import _thread
import sys
from types import ModuleType
from typing import Any

from greenscope.runtime.monkey.saved import patch_item
from greenscope.runtime.thread import LockType, RLock

__all__ = ["replace_locks_of_logging", "replace_locks_of_modules"]

_NativeLock = _thread.LockType
_NativeRLock = _thread.RLock

_KEEP = ("greenscope", "gevent", "greenlet", "importlib", "_frozen_importlib", "zipimport", "threading", "_thread")


def replace_locks_of_modules() -> None:
    """Make the free native locks in the globals of modules green."""
    modules: dict[str, Any] = dict(sys.modules)
    for module_name, module in modules.items():
        if not isinstance(module, ModuleType) or module_name.partition(".")[0] in _KEEP:
            continue
        names = [name for name, value in vars(module).items() if type(value) in {_NativeLock, _NativeRLock}]
        for name in names:
            lock = vars(module)[name]
            # The module's, our variable's, and getrefcount's own.
            if sys.getrefcount(lock) == 3 and _is_free(lock):
                patch_item(module, name, LockType() if type(lock) is _NativeLock else RLock())


def replace_locks_of_logging() -> None:
    """Make the locks of logging and of its handlers green: they are held while a record is written."""
    logging = sys.modules.get("logging")
    if logging is None:
        return  # whoever imports it later makes green ones
    if isinstance(vars(logging).get("_lock"), _NativeRLock) and _is_free(logging._lock):
        patch_item(logging, "_lock", RLock())
    for reference in list(logging._handlerList):
        handler: Any = reference() if callable(reference) else reference
        if handler is not None and isinstance(handler.lock, _NativeRLock) and _is_free(handler.lock):
            handler.lock = RLock()


def _is_free(lock: Any) -> bool:
    if isinstance(lock, _NativeRLock):
        return " count=0 " in repr(lock)  # Python 3.11 has no other way to ask
    return not lock.locked()
