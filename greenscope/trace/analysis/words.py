"""Times and lines in words, the same in sentences, tables and the commands."""

from __future__ import annotations

from greenscope.trace.records import Site

__all__ = ["duration", "many", "place"]


def duration(ns: int) -> str:
    """Nanoseconds in three significant digits and the unit that fits: "12.3 ms", "2:05 min"."""
    if ns < 1000:
        return f"{ns} ns"
    for limit, unit, scale in ((999.5e3, "µs", 1e3), (999.5e6, "ms", 1e6), (59.95e9, "s", 1e9)):
        if ns < limit:
            value = ns / scale
            return f"{value:.{0 if value >= 99.95 else 1 if value >= 9.995 else 2}f} {unit}"
    minutes, seconds = divmod(round(ns / 1e9), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02} h" if hours else f"{minutes}:{seconds:02} min"


def place(site: Site | None) -> str:
    """A line of the program as a sentence names it: "app.py:12 in handle"; "a line that is not known"."""
    if site is None:
        return "a line that is not known"
    return f"{site.file.rsplit('/', 1)[-1]}:{site.line}" + (f" in {site.function}" if site.function else "")


def many(count: int, what: str) -> str:
    """A number of things: "1 greenlet", "3 greenlets"."""
    return f"{count} {what}{'' if count == 1 else 's'}"
