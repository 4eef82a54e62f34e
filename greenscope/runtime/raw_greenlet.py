"""Bare greenlets: a function that the hub runs, and nothing more.

Owns ``spawn_raw``: for many small greenlets of which nobody wants to know how they ended. They are in the
recording like all others. Refuses to be joined or linked to.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any
from weakref import ref

import greenlet as _greenlet
from greenlet import GreenletExit, getcurrent

from greenscope.runtime.hub import get_hub
from greenscope.runtime.waiter import State, Waiter
from greenscope.trace.events import Exit, Ready, Spawn, Wait

__all__ = ["spawn_raw"]


class RawGreenlet(_greenlet.greenlet):
    """What ``spawn_raw`` gives: no value, no links, nobody who waits for it."""

    __slots__ = (
        "_arguments",
        "_function",
        "_keywords",
        "_locals",
        "_state",
        "_tree_locals",
        "loop",
        "spawning_greenlet",
    )

    _arguments: tuple[Any, ...]
    _function: Callable[..., Any]
    _keywords: dict[str, Any]
    _state: State
    loop: Any
    _tree_locals: dict[str, Any]
    spawning_greenlet: ref[Any]

    @property
    def spawn_tree_locals(self) -> dict[str, Any]:
        """As ``Greenlet``'s."""
        return self._tree_locals

    def run(self, _entry: object) -> None:
        """What the greenlet's stack begins with."""
        state: State = self._state
        start = state.waiting_on
        if start is not None:
            start.greenlet = None
        how = Exit.RAISED
        try:
            self._function(*self._arguments, **self._keywords)
            how = Exit.RETURNED
        except GreenletExit:
            how = Exit.KILLED
        except BaseException:
            state.hub.handle_error(self._function, *sys.exc_info())
        finally:
            state.hub.recorder.exit(state.handle, how)
            state.waiting_on = state.yielder = None

    def throw(self, *exc_info: Any) -> Any:
        """Raise in it at once; one that has not run yet never will."""
        state: State = self._state
        if not _greenlet.greenlet.__bool__(self) and not self.dead and state.waiting_on is not None:
            state.waiting_on = None
            state.hub.recorder.exit(state.handle, Exit.KILLED)
        try:
            return super().throw(*exc_info)
        except GreenletExit:
            return None


def spawn_raw(function: Callable[..., Any], /, *arguments: Any, **keywords: Any) -> _greenlet.greenlet:
    """A started bare greenlet that runs ``function``: for many small ones, of which nobody wants to know the end.

    Raises:
        TypeError: ``function`` cannot be called.
    """
    if not callable(function):
        raise TypeError(f"a greenlet runs a function; {function!r} cannot be called")
    hub = get_hub()
    recorder = hub.recorder
    spawner: Any = getcurrent()
    new = RawGreenlet(None, hub)
    new._function, new._arguments, new._keywords = function, arguments, keywords
    new.loop = hub.loop
    new.spawning_greenlet = ref(spawner)
    tree = getattr(spawner, "_tree_locals", None)
    if tree is None:
        tree = {}
        if spawner.parent is not None:  # main's children do not share
            spawner._tree_locals = tree
    new._tree_locals = tree
    title = getattr(function, "__qualname__", None) or type(function).__qualname__
    handle = recorder.spawn(Spawn.RAW, recorder.string(title), 1, recorder.current)
    new._state = state = State(hub, hub.loop, handle)
    start = Waiter(Wait.OTHER, 0, "its first turn")
    start.greenlet = new
    start.state = state
    state.waiting_on = start
    start.wake(Ready.SPAWN, recorder.current)
    return new
