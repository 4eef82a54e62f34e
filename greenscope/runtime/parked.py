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

__all__ = ["explain", "line_of", "name_of", "parked"]

_LISTED = 50
_HERE = __file__.removesuffix("parked.py")


def parked(hub: Hub) -> str:
    """A line for each greenlet of a hub that waits: its name, what for, and where; the main greenlet first."""
    found: list[tuple[Any, str]] = []
    for target in gc.get_objects():
        if isinstance(target, _greenlet.greenlet):
            state: Any = getattr(target, "_state", None)
            entry = state.waiting_on if state is not None and state.hub is hub else None
            if entry is not None and entry.greenlet is target:
                found.append((target, f"{entry.describe()}{line_of(target)}"))
    found.sort(key=lambda pair: (pair[0] is not hub.parent, pair[0]._state.handle & 0xFFFFFFFFFF))
    lines = [f"  {name_of(target)}: {what}" for target, what in found[:_LISTED]]
    if len(found) > _LISTED:
        lines.append(f"  and {len(found) - _LISTED} more")
    return "\n".join(lines)


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


def line_of(target: _greenlet.greenlet) -> str:
    """`` at FILE:LINE``, of the first frame of a parked greenlet that is not ours."""
    frame = target.gr_frame
    while frame is not None and frame.f_code.co_filename.startswith(_HERE):
        frame = frame.f_back
    return f" at {frame.f_code.co_filename}:{frame.f_lineno}" if frame is not None else ""
