"""The hub of each thread: where it is kept, and what becomes of it at a fork and at the end.

Owns ``get_hub`` and ``current``, and what is known of the process's other threads. A hub belongs to the
thread that asked for it first; it ends with that thread, and with the interpreter. A forked child gets
no part of its parent's hubs.
"""

from __future__ import annotations

import atexit
import itertools
import os
import threading
from _thread import _count as _thread_count
from _thread import get_ident
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from greenscope.runtime.waiter import running

if TYPE_CHECKING:
    from greenscope.runtime.hub import Hub

__all__ = [
    "alive",
    "bystanders",
    "current",
    "get_hub",
    "main_thread_ident",
    "next_number",
    "others_may_wake",
    "register",
    "thread_name",
]


class _Guard:
    """Ends the hub of a thread that ends, by being in its thread-local storage."""

    def __init__(self, hub: Hub) -> None:
        self.hub: Hub | None = hub

    def __del__(self) -> None:
        hub, self.hub = self.hub, None
        if hub is not None and hub.thread == get_ident() and not hub.loop.closed and running() is hub.parent:
            hub.destroy()  # this unwinds its stack too, which would keep it and its recording for ever


class _Current(threading.local):
    hub: Hub | None = None
    guard: _Guard | None = None


current = _Current()
_make: list[type[Hub]] = []
_make_later: list[Callable[[Any], Any]] = []
_numbers = itertools.count(1)
alive: set[Hub] = set()
_inherited: list[Hub] = []


def register(hub_class: type[Hub], hub_to_be: Callable[[Any], Any]) -> None:
    """Say what ``get_hub`` makes, and what stands in for a hub that is not made yet; ``hub`` does."""
    _make[:] = [hub_class]
    _make_later[:] = [hub_to_be]


def get_hub() -> Hub:
    """The hub of this thread; made if there is none yet."""
    hub = current.hub
    if hub is None:
        hub = current.hub = _make[0]()
        current.guard = _Guard(hub)
    return hub


def next_number() -> int:
    """The number of the process's next hub, from 1."""
    return next(_numbers)


def others_may_wake() -> bool:
    """Whether a native thread runs that could wake a greenlet of this one.

    Threads that a fork left to the parent are not counted, nor those in ``bystanders``.
    """
    while True:
        threads = _thread_count()
        if threads - _left_to_parent[0] > len(bystanders):
            return True
        if threads == _thread_count():  # else a bystander began between the two, and counts in one of them only
            return False


bystanders: set[int] = set()
"""Native threads that wait for work from us, and so wake nobody by themselves; see ``threadpool``."""

_left_to_parent = [0]
# The runtime may be imported by a thread; who runs it first is not always who is main.
main_thread_ident: list[int | None] = [threading.main_thread().ident]
_current_thread = threading.current_thread


def thread_name() -> str:
    return _current_thread().name


def _after_fork_in_child() -> None:
    """Give the child no part of its parent's hub.

    The two share the epoll set in the kernel, so the child must not touch the loop. Its greenlets stay
    where they are and are never switched to, as threads are not; the one that called fork goes on.
    """
    global _numbers  # noqa: PLW0603  (a child counts its hubs from 1 again)
    _numbers = itertools.count(1)
    _left_to_parent[0] = _thread_count()
    bystanders.clear()
    main_thread_ident[0] = get_ident()
    _inherited.extend(alive)  # freeing one would close handles of the shared loop
    for other in alive:
        other.loop.leave_to_parent()
    alive.clear()
    hub = current.hub
    if hub is None:
        return
    if current.guard is not None:
        current.guard.hub = None
    current.hub = current.guard = None
    forker = running()
    for target in (forker, hub.parent):
        if target is not None and getattr(target, "_state", None) is not None:
            del target._state  # type: ignore[union-attr]
    if forker is not hub.parent and forker is not hub:
        # What comes after it is the child's hub; but a child that only becomes another program needs none.
        forker.parent = _make_later[0](hub.parent)


def _at_exit() -> None:
    hub = current.hub
    if hub is not None and running() is hub.parent:
        hub.destroy()


os.register_at_fork(after_in_child=_after_fork_in_child)
atexit.register(_at_exit)
