"""Who waits for what, in words: what a program is told whose greenlets all wait for ever, or whose timeout fires.

Owns the text of ``LoopExit``, and the names and lines of greenlets in messages. There is no list of all
greenlets, because keeping one would cost every spawn; the garbage collector has one, and this is the
end of the program, or nearly.
"""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

import greenlet as _greenlet

from greenscope.trace.events import Wait

if TYPE_CHECKING:
    from greenscope.runtime.hub import Hub

__all__ = ["explain", "in_words", "left_by", "line_of", "name_of", "parked"]

_LISTED = 50
_HERE = __file__.removesuffix("parked.py")


def parked(hub: Hub) -> list[Any]:
    """The greenlets of a hub that wait, in the order of their numbers, but the main greenlet first."""
    found: list[Any] = []
    for target in gc.get_objects():
        if isinstance(target, _greenlet.greenlet):
            state: Any = getattr(target, "_state", None)
            entry = state.waiting_on if state is not None and state.hub is hub else None
            if entry is not None and entry.greenlet is target:
                found.append(target)
    found.sort(key=lambda target: (target is not hub.parent, _number(target)))
    return found


def in_words(waiting: list[Any]) -> str:
    """A line for each of them: its name, what it waits for, and where."""
    lines = [
        f"  {name_of(target)}: {target._state.waiting_on.describe()}{line_of(target)}" for target in waiting[:_LISTED]
    ]
    if len(waiting) > _LISTED:
        lines.append(f"  and {len(waiting) - _LISTED} more")
    return "\n".join(lines)


def left_by(waiting: list[Any]) -> int:
    """Whose wait that of the first of them comes down to: its own, or that of a greenlet whose end it waits for.

    Returns:
        A handle; 0 if nobody waits.
    """
    if not waiting:
        return 0
    last = at = waiting[0]
    others = {id(target): target for target in waiting}
    while at is not None:
        last = at
        del others[id(at)]  # each once: they may wait for one another
        entry = at._state.waiting_on
        at = others.get(id(getattr(entry, "item", None))) if entry.reason == Wait.JOIN else None
    handle: int = last._state.handle
    return handle


def explain(error: BaseException, target: _greenlet.greenlet) -> None:
    """Note, for the traceback of what is about to be raised in a parked greenlet, what it waits for, and who has that.

    A timeout may be raised again and again: only the last time is noted.
    """
    state: Any = getattr(target, "_state", None)
    entry = state.waiting_on if state is not None else None
    if entry is not None and entry.greenlet is target:
        whom = f", which greenlet #{entry.fd + 1} holds" if entry.reason == Wait.LOCK and entry.fd >= 0 else ""
        error.__notes__ = [f"while waiting for {entry.describe()}{whom}"]


def name_of(thing: object) -> str:
    """What a greenlet, or a function, is called in a message."""
    name = getattr(thing, "name", None)
    if isinstance(name, str):
        return name
    if isinstance(thing, _greenlet.greenlet):
        return "main" if thing.parent is None else "raw greenlet"
    return getattr(thing, "__qualname__", None) or repr(thing)


def _number(target: Any) -> int:
    number: int = target._state.handle & 0xFFFFFFFFFF
    return number


def line_of(target: _greenlet.greenlet) -> str:
    """`` at FILE:LINE``, of the first frame of a parked greenlet that is not ours."""
    frame = target.gr_frame
    while frame is not None and frame.f_code.co_filename.startswith(_HERE):
        frame = frame.f_back
    return f" at {frame.f_code.co_filename}:{frame.f_lineno}" if frame is not None else ""
