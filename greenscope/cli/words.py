"""Times, lines and texts as the commands print them; the dashboard's own forms, so that the two agree.

A recording is untrusted, and so is a name in it: nothing of it reaches a terminal but printable characters.
"""

from __future__ import annotations

from datetime import datetime

from greenscope.trace.analysis.words import duration
from greenscope.trace.records import Site

__all__ = ["duration", "line_of", "printable", "wall_time"]


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
