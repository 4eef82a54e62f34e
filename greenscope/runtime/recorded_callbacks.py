"""Level ``teach``: the functions that the hub calls, between its switches. See ``detail``."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from greenscope.runtime.detail import from_level
from greenscope.runtime.waiter import Callback
from greenscope.runtime.watcher import Watcher
from greenscope.trace.events import Detail, Exit
from greenscope.trace.here import here

__all__ = ["record_callbacks"]


def record_callbacks() -> None:
    """Have them recorded at level ``teach``: what the hub was asked to call, and what watchers call."""
    for cls in (Callback, Watcher):
        from_level(Detail.TEACH, cls, "call", _recorded(cls.call))


def _name_of(called: Any) -> str:
    try:
        name = called.__qualname__
    except Exception:  # a proxy may raise anything, and is to be called all the same
        name = None
    return name if isinstance(name, str) and name else type(called).__qualname__


def _recorded(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def recorded(self: Any) -> Any:
        recorder, called = here.recorder, self.callback
        if recorder is None or called is None:
            return function(self)
        recorder.callback_begin(getattr(self, "watch", 0), self.resource, _name_of(called))
        how = Exit.RAISED
        try:
            result = function(self)
            how = Exit.RETURNED
        finally:
            recorder.callback_end(how)
        return result

    return recorded
