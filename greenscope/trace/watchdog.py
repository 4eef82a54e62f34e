"""The watchdog of this process: its settings, and when it begins and ends. What it does is in C (``_watchdog.c``).

It is one native thread, begun with the first ring that is written and ended at the interpreter's exit, that
notices stalls, answers on the socket ``PID.sock`` beside the rings, and keeps snapshots when something has
happened. It refuses to be needed: where it cannot be, everything else works, and ``greenscope stacks`` says why.

What raises the alarm by itself: SIGUSR2, unless the program has a handler of its own; an exception that no
greenlet caught; one that ended the program, which the interpreter keeps in ``sys.last_type``, so that
``sys.excepthook`` stays the program's; ``LoopExit``; and a stall that lasts.
"""

from __future__ import annotations

import atexit
import os
import sys
from importlib import import_module
from os import environ as _environ  # by name: patching puts others in their place
from typing import TYPE_CHECKING, Any

from greenscope.errors import GreenscopeError
from greenscope.trace.events import Snapshot
from greenscope.trace.ring_opening import say

if TYPE_CHECKING:
    from greenscope.trace.recorder import Recorder

_ring: Any
try:
    _ring = import_module("greenscope.trace._ring")
except ImportError:  # there is no watchdog in Python: it would wait for the GIL that the stall holds
    _ring = None

__all__ = ["trigger", "watch"]

STALL_MS = 100
SNAPSHOT_STALL_MS = 5000
SNAPSHOTS = 16


def trigger(reason: Snapshot) -> None:
    """A reason to keep what led to it: snapshots of all rings; of the same reason, once a minute."""
    if _ring is not None:
        _ring.watchdog_trigger(reason)


def watch(recorder: Recorder) -> None:
    """Look after a new ring, whose hub runs in this thread; with the first one the watchdog begins."""
    if _ring is None or not isinstance(recorder, _ring.Ring):
        return
    try:
        stall_ms = _number("GREENSCOPE_STALL_MS", STALL_MS)
        kept_ms = _number("GREENSCOPE_SNAPSHOT_STALL_MS", SNAPSHOT_STALL_MS)
        kept = _number("GREENSCOPE_SNAPSHOTS", SNAPSHOTS)
    except GreenscopeError as error:
        say(f"{error}; there is no watchdog")
        return
    if not stall_ms:
        return
    path = recorder.path
    try:
        if path is not None:
            _ring.watchdog_start(path.parent, stall_ms * 1_000_000, kept_ms * 1_000_000, kept)
    except OSError as error:
        say(f"the watchdog has no socket, or no thread: {error}")
    recorder.watch(path)


def _number(name: str, otherwise: int) -> int:
    text = _environ.get(name)
    if not text:
        return otherwise
    if not text.isdecimal() or len(text) > 9:
        raise GreenscopeError(f"{name} is {text!r}: give a whole number, or 0 for none")
    return int(text)


def _at_exit() -> None:
    ended_by = getattr(sys, "last_type", None)
    if isinstance(ended_by, type) and issubclass(ended_by, Exception):
        trigger(Snapshot.EXCEPTION)
    if _ring is not None:
        _ring.watchdog_stop()


atexit.register(_at_exit)
if _ring is not None and sys.version_info >= (3, 12):  # before, no fork was warned of
    os.register_at_fork(before=_ring.watchdog_before_fork, after_in_parent=_ring.watchdog_after_fork)
