"""``sleep`` that lets other greenlets run; everything else is the standard library's ``time``."""

from __future__ import annotations

import time as _stdlib
from math import isnan
from operator import index
from time import *  # noqa: F403  (its names, as they are)
from typing import Any

from greenscope.runtime.hub import sleep as _sleep

__implements__ = ["sleep"]
__all__ = [name for name in vars(_stdlib) if not name.startswith("_")]

_MOST = (1 << 63) // 10**9  # seconds; what the system calls take, in nanoseconds


def sleep(seconds: Any, /) -> None:  # type: ignore[no-redef]
    """Park the current greenlet for ``seconds``; with 0, only let the others run first.

    Raises:
        ValueError: a negative time, or none.
        OverflowError: a time beyond what the system takes, 292 years.
        TypeError: something else than a number.
    """
    time = seconds if isinstance(seconds, float) else index(seconds)
    if isnan(time):
        raise ValueError("cannot sleep for nan seconds: a time is a number")
    if time < 0:
        raise ValueError(f"sleep length must be non-negative, not {seconds}")
    if time > _MOST:
        raise OverflowError(f"cannot sleep for {seconds} seconds: the longest time is {_MOST}")
    _sleep(time)
