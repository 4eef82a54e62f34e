"""Times that a program gives: what the standard library takes as seconds, and what it refuses, alike.

Owns the one check behind ``settimeout``, ``select``, ``poll`` and the selectors, so that a wrong value
is the same TypeError, ValueError or OverflowError everywhere, before anything waits.
"""

from __future__ import annotations

from operator import index
from typing import Any

__all__ = ["MOST_SECONDS", "seconds_of"]

MOST_SECONDS = (1 << 63) / 1e9
"""Where the standard library's clock, 64 bits of nanoseconds, ends: some 292 years."""


def seconds_of(value: Any, what: str = "timeout") -> float:
    """A number of seconds, as a float.

    Args:
        value: an int, a float, or what ``operator.index`` takes. Not a text, not a Decimal.
        what: what it is, for the error.

    Raises:
        TypeError: it is none of these.
        ValueError: it is not a number (NaN).
        OverflowError: it is more than 292 years.
    """
    if isinstance(value, float):
        seconds = float(value)
    else:
        try:
            whole = index(value)
        except TypeError:
            raise TypeError(f"a {what} is a number of seconds, or None; not {type(value).__name__}") from None
        if abs(whole) >= MOST_SECONDS:
            raise OverflowError(f"a {what} of {whole} seconds is too large; use None to wait for ever")
        return float(whole)
    if seconds != seconds:  # noqa: PLR0124  (the one number that does not equal itself)
        raise ValueError(f"a {what} is a number of seconds, or None; not NaN")
    if abs(seconds) >= MOST_SECONDS:
        raise OverflowError(f"a {what} of {seconds} seconds is too large; use None to wait for ever")
    return seconds
