"""Times, lines and texts as the commands print them; the dashboard's own forms, so that the two agree.

A recording is untrusted, and so is a name in it: nothing of it reaches a terminal but printable characters.
"""

from __future__ import annotations

from datetime import datetime

from greenscope.trace.records import Site

__all__ = ["duration", "line_of", "printable", "wall_time"]


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


def wall_time(ns: int) -> str:
    """Nanoseconds since the epoch as the local date and time, to the millisecond."""
    when = datetime.fromtimestamp(ns / 1e9).astimezone()
    return when.strftime("%Y-%m-%d %H:%M:%S.") + f"{when.microsecond // 1000:03}"


def line_of(site: Site | None, short: bool = False) -> str:
    """Where a greenlet parked: "/srv/app.py:12 handle"; "app.py:12 handle" if short; "" if unknown."""
    if site is None:
        return ""
    file = site.file.rsplit("/", 1)[-1] if short else site.file
    return printable(f"{file}:{site.line} {site.function}".rstrip())


def printable(text: str) -> str:
    """A text whose control characters are written out."""
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
