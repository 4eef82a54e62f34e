"""Small numbers for greenlets, gevent's ``minimal_ident``: the smallest that no living greenlet has.

Owns the table. A number is given out when it is first asked for, because few programs ask, and is free
again when its greenlet is.
"""

from __future__ import annotations

import weakref
from heapq import heappop, heappush
from typing import Any

__all__ = ["ident_of"]

_free: list[int] = []
_taken: dict[int, weakref.ref[Any]] = {}  # by number: the reference has to live for its callback to be called
_numbers: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()


def ident_of(greenlet: Any) -> int:
    """The number of ``greenlet``."""
    number = _numbers.get(greenlet)
    if number is None:
        number = heappop(_free) if _free else len(_taken)
        _taken[number] = weakref.ref(greenlet, _Return(number))
        _numbers[greenlet] = number
    return number


class _Return:
    """Makes a number free when its greenlet is gone."""

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number

    def __call__(self, _reference: weakref.ref[Any]) -> None:
        del _taken[self.number]
        heappush(_free, self.number)
