"""How ``profile`` looks: a line or two a hub, then a table for each kind of time, the numbers first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from greenscope.cli.columns import laid_out, widths_of
from greenscope.cli.words import duration, line_of, printable
from greenscope.trace.analysis.profile import By, Part
from greenscope.trace.analysis.profile_rows import Row
from greenscope.trace.analysis.spread import Spread

if TYPE_CHECKING:
    from greenscope.cli.profile import Profiled

__all__ = ["profile_as_text"]

_NUMBERS = ("Total", "Share", "Count", "Mean", "p99", "Longest", "Still")
_NUMERIC = range(len(_NUMBERS))
_COLUMNS = {
    By.LINE: ("Reason", "Line"),
    By.STACK: ("Reason", "Stack"),
    By.REASON: ("Reason", "Line of the longest"),
    By.PEER: ("Reason", "Peer", "Line of the longest"),
    By.RESOURCE: ("Reason", "Resource", "Line of the longest"),
    By.WAKER: ("Woken by", "Sleeper", "Reason", "Line of the longest"),
    By.LATENCY: ("Greenlet",),
    By.LOAD: ("Greenlet",),
}
_BAR = 40


def profile_as_text(hub: Profiled, limit: int) -> Iterator[str]:
    """What a person reads of one hub, with at most so many rows of a kind."""
    info, made = hub.info, hub.profile
    state = "" if hub.state == "live" else f", {hub.state}"
    yield printable(f"{info.pid}/{info.hub} {' '.join(info.argv)}{state}")
    if hub.lost:
        yield f"  {hub.lost} records were overwritten before they were read: the times are of what is left"
    times = made.times
    yield (
        f"  from {duration(hub.shown_from)} to {duration(hub.shown_to)}: greenlets ran for {duration(made.ran)}, waited"
        f" {duration(times[Part.HUB])} for the hub, {duration(times[Part.WAIT])} for others; slept"
        f" {duration(times[Part.SLEEP])}; waited {duration(times[Part.IDLE])} for work to come"
    )
    if made.by is By.LATENCY:
        yield from _spread("ready, until it ran", made.latency)
    if made.by is By.LOAD:
        yield from _load(hub)
    yield from _tables(hub, limit)


def _tables(hub: Profiled, limit: int) -> Iterator[str]:
    by = hub.profile.by
    shown = {part: [row for row in hub.rows if row.part is part] for part in Part}
    header = (*_NUMBERS[:-1], "" if by is By.WAKER else _NUMBERS[-1], *_COLUMNS[by])
    widths = widths_of([header, *(_cells(by, row) for rows in shown.values() for row in rows[:limit])])
    for part, rows in shown.items():
        if not rows:
            continue
        yield ""
        yield f"{_heading(by, part)}: {duration(sum(row.sum.total for row in rows))}"
        yield from laid_out([header, *(_cells(by, row) for row in rows[:limit])], widths, _NUMERIC)
        if len(rows) > limit:
            yield f"and {len(rows) - limit} more, {duration(sum(row.sum.total for row in rows[limit:]))}"
    if not hub.rows:
        yield ""
        yield "nothing of that was recorded in this time"


def _heading(by: By, part: Part) -> str:
    if by is By.LATENCY:
        return "who waited for the hub"
    if by is By.LOAD:
        return "who ran"
    return {
        Part.HUB: "on the hub, and waiting for it",
        Part.WAIT: "waiting for others",
        Part.SLEEP: "asleep",
        Part.IDLE: "waiting for work to come",
    }[part]


def _cells(by: By, row: Row) -> Sequence[str]:
    each = row.sum
    numbers = (
        duration(each.total),
        f"{row.share:.1%}",
        str(each.count),
        duration(each.total // each.count),
        duration(each.p99),
        duration(each.longest),
        "" if by is By.WAKER else str(each.still),  # a wait that somebody ended does not go on
    )
    line = line_of(row.line) or row.what
    match by:
        case By.LINE:
            texts: tuple[str, ...] = (row.reason, line)
        case By.STACK:
            texts = (row.reason, " < ".join(line_of(frame) for frame in row.stack) or line)
        case By.REASON:
            texts = (row.reason, line)
        case By.WAKER:
            texts = (row.what, row.sleeper, row.reason, line_of(row.line))
        case By.PEER | By.RESOURCE:
            texts = (row.reason, row.what or "without an address", line_of(row.line))
        case _:
            texts = (row.what,)
    return (*numbers, *map(printable, texts))


def _load(hub: Profiled) -> Iterator[str]:
    load = hub.profile.load
    yield f"  the hub was away from its poll for {duration(load.busy)}, {load.load:.1%} of the time"
    classes = load.classes()
    total = sum(each.count for each in classes)
    if total:
        most = max(each.count for each in classes)
        table = [("Load", "Count", "Share", "")]
        for each in classes:
            share = f"{each.count / total:.1%}"
            table.append((f"{each.least:.0%} to {each.most:.0%}", str(each.count), share, _bar(each.count, most)))
        yield ""
        yield f"load of each {duration(load.width)}"
        yield from laid_out(table, widths_of(table), range(3))
    yield from _spread("away from the poll", load.away)


def _spread(what: str, spread: Spread) -> Iterator[str]:
    classes = spread.classes()
    if not classes:
        return
    most = max(each.count for each in classes)
    table = [("Time", "Count", "Share", "Total", "")]
    for each in classes:
        first = duration(each.least)
        times = f"{first} to {duration(each.below)}" if each.below else f"from {first} on"
        share = f"{each.count / spread.count:.1%}"
        table.append((times, str(each.count), share, duration(each.total), _bar(each.count, most)))
    yield ""
    half, most_of_them = duration(spread.quantile(50)), duration(spread.quantile(99))
    yield (
        f"{what}: {spread.count} times, {duration(spread.total)} in all; half within {half}, 99 % within"
        f" {most_of_them}, the longest {duration(spread.longest)}"
    )
    yield from laid_out(table, widths_of(table), range(4))


def _bar(count: int, most: int) -> str:
    return "#" * -(-count * _BAR // most)
