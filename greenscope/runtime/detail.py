"""What is recorded at a higher level only: swapped in when that level is set, and out again.

Owns ``from_level``: below the level a class has its own method, so that what is not recorded costs nothing,
not even a question. A bound method that a program keeps stays what it was when it was taken.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from greenscope.trace.events import Detail
from greenscope.trace.levels import levels

__all__ = ["from_level"]

_NOT_ITS_OWN = object()
_swapped: list[tuple[Detail, type, str, Any, Callable[..., Any]]] = []


def from_level(level: Detail, cls: type, name: str, recorded: Callable[..., Any]) -> None:
    """Have ``cls`` use ``recorded`` as its method of that name as long as the level is ``level`` or higher."""
    one = level, cls, name, vars(cls).get(name, _NOT_ITS_OWN), recorded
    _swapped.append(one)
    if levels.detail >= level:
        _swap(levels.detail, *one)


def _swap(now: Detail, level: Detail, cls: type, name: str, own: Any, recorded: Callable[..., Any]) -> None:
    if now >= level:
        setattr(cls, name, recorded)
    elif own is not _NOT_ITS_OWN:
        setattr(cls, name, own)
    elif name in vars(cls):
        delattr(cls, name)


def _change(now: Detail) -> None:
    for one in _swapped:
        _swap(now, *one)


levels.on_change(_change)
