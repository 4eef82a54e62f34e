"""The trace of a green program: what the program may say itself, and how much is recorded.

The rest is internal: the data path from the recorder to the analysis. Everything is loaded when it is first
used, because whoever imports one module of the trace imports this one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from greenscope.trace.levels import detail, set_detail, set_stacks
    from greenscope.trace.notes import mark, request, set_name, span

__all__ = ["detail", "mark", "request", "set_detail", "set_name", "set_stacks", "span"]

_LEVELS = frozenset(("detail", "set_detail", "set_stacks"))


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from greenscope.trace import levels, notes

    found = globals()[name] = getattr(levels if name in _LEVELS else notes, name)
    return found
