"""How much is recorded: one level for the process, in every ring and for every part that records.

``switch`` is what the hub does: cheap enough to be always on. ``io`` adds the calls of sockets, and who holds
the locks. ``teach`` adds the functions that the hub calls, and the source line at each step. The level is
``$GREENSCOPE_DETAIL`` at first; the program changes it with ``set_detail``, and the watchdog on behalf of
another process, by the ring's ``detail_wanted``, which the hub's thread hears at the end of a poll.

Parts of the runtime that record at a higher level only, and cost nothing below, ask to be told
(``on_change``). Whether the whole stack is recorded where a greenlet parks is set apart (``set_stacks``).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from os import environ as _environ
from typing import TYPE_CHECKING

from greenscope.errors import GreenscopeError
from greenscope.trace.events import Detail

if TYPE_CHECKING:
    from collections.abc import Iterable

    from greenscope.trace.recorder import Recorder

__all__ = ["Levels", "detail", "hear", "levels", "parse", "set_detail", "set_stacks"]

NAMES = tuple(level.name.lower() for level in Detail)


class Levels:
    """The level, who records, and who wants to know."""

    def __init__(self, detail: Detail, stacks: bool) -> None:
        self.detail = detail
        self.stacks = stacks
        self.recorders: Callable[[], Iterable[Recorder]] = tuple
        """The rings that are written; ``recorder`` sets it."""
        self.on_stall: Callable[[str], object] | None = None
        """Says in the program's log that a stall is over; called by a hub. The runtime sets it."""
        self._listeners: list[Callable[[Detail], None]] = []

    def on_change(self, listener: Callable[[Detail], None]) -> None:
        """Have ``listener`` called with every new level, and now if it is not the lowest."""
        self._listeners.append(listener)
        if self.detail:
            listener(self.detail)

    def set(self, detail: Detail) -> None:
        """From here on so much is recorded, by every hub of the process."""
        if detail == self.detail:
            return
        self.detail = detail
        for recorder in list(self.recorders()):
            recorder.set_detail(detail)
        for listener in self._listeners:
            listener(detail)


def parse(name: str) -> Detail:
    """The level of that name.

    Raises:
        GreenscopeError: there is none.
    """
    if name not in NAMES:
        raise GreenscopeError(f"there is no detail level {name!r}: give {', '.join(NAMES[:-1])} or {NAMES[-1]}")
    return Detail(NAMES.index(name))


def _from_environment() -> Detail:
    name = _environ.get("GREENSCOPE_DETAIL")
    try:
        return parse(name) if name else Detail.SWITCH
    except GreenscopeError as error:
        if sys.stderr is not None:
            with suppress(OSError, ValueError):  # it is closed
                sys.stderr.write(f"greenscope: GREENSCOPE_DETAIL: {error}; it is {NAMES[0]}\n")
        return Detail.SWITCH


levels = Levels(_from_environment(), _environ.get("GREENSCOPE_STACKS", "") not in {"", "0"})


def hear(number: int) -> None:
    """Take over what another process asks for; what is no level is not heard."""
    if number < len(Detail):
        levels.set(Detail(number))


def detail() -> str:
    """How much is recorded: ``switch``, ``io`` or ``teach``."""
    return NAMES[levels.detail]


def set_detail(name: str) -> None:
    """Record so much from here on, in every hub of the process and in those to come.

    Args:
        name: ``switch``, ``io`` or ``teach``.

    Raises:
        GreenscopeError: there is no such level.
    """
    levels.set(parse(name))


def set_stacks(whole: bool) -> None:
    """Record the whole stack of a greenlet where it parks, from here on and in every hub; or its line alone.

    The sites section of the ring holds more then, and what does not fit is counted.
    """
    levels.stacks = bool(whole)
    for recorder in list(levels.recorders()):
        recorder.stacks = levels.stacks
