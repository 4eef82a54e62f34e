"""``greenscope profile``: where the time went, in a process, living or dead, or in a recording."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import click

from greenscope.cli.profile_text import profile_as_text
from greenscope.cli.ring_argument import rings_at
from greenscope.cli.times import Time
from greenscope.cli.words import printable
from greenscope.errors import GreenscopeError
from greenscope.trace.analysis import Timeline
from greenscope.trace.analysis.as_json import site_as_json
from greenscope.trace.analysis.profile import By, Part, Profile
from greenscope.trace.analysis.profile_rows import Row, folded, rows_of
from greenscope.trace.analysis.spread import Spread
from greenscope.trace.reader import RingInfo, RingReader
from greenscope.trace.records import END_OF_TIME, Batch, Site

__all__ = ["VERSION", "Profiled", "profile", "profile_as_json"]

VERSION = 1
"""Of the JSON; docs/profile.md says what is in it."""

_ROWS = 20
_WHOLE = 1 << 62


@dataclass(slots=True)
class Profiled:
    """One hub's profile. ``until`` is the moment it is of, or the window's end; ``lost`` counts records."""

    info: RingInfo
    state: str
    profile: Profile
    rows: list[Row]
    stacks: list[tuple[list[Site], str, int]]
    until: int
    lost: int

    @property
    def shown_from(self) -> int:
        """When the window begins, since the ring did."""
        return self.profile.begin - self.info.start_monotonic_ns

    @property
    def shown_to(self) -> int:
        """When it ends."""
        return max(self.until - self.info.start_monotonic_ns, self.shown_from)


@click.command()
@click.argument("what", metavar="PID | FILE.gsr")
@click.option(
    "--by", type=click.Choice([str(by) for by in By]), default=None, help="What the times are summed by [line]."
)
@click.option("--from", "begin", type=Time(), default="0", help="Only from this time on, since the ring began.")
@click.option("--to", "end", type=Time(), default=None, help="Only before this time.")
@click.option("--greenlet", "greenlets", multiple=True, metavar="N|NAME", help="Only of these; may be repeated.")
@click.option("--limit", type=click.IntRange(1), default=None, help=f"At most so many rows of a kind; {_ROWS} as text.")
@click.option("--json", "json_", is_flag=True, help="The same as JSON; docs/profile.md lists its fields.")
@click.option("--collapsed", is_flag=True, help="Folded stacks with microseconds, for tools that draw flame graphs.")
def profile(
    what: str,
    by: str | None,
    begin: int,
    end: int | None,
    greenlets: tuple[str, ...],
    limit: int | None,
    json_: bool,
    collapsed: bool,
) -> None:
    """Say where the time went: what greenlets waited for, how long, at which line, and who woke them.

    By line, stack, reason, peer, resource; by waker, who woke whom; latency, how long those that could
    run waited for the hub; load, how busy the hub was, and with whom. Times are seconds since the ring
    began, or with a unit: 1.5s, 200ms. What a greenlet sleeps, and waits for connections, stands apart.
    """
    if collapsed and (json_ or by not in {None, By.STACK}):
        raise GreenscopeError("--collapsed is stacks and nothing else: give neither --json nor another --by")
    if end is not None and end <= begin:
        raise GreenscopeError("--to is not after --from: that is no time at all")
    chosen_by = By.STACK if collapsed else By(by or By.LINE)
    hubs = [_profiled(path, chosen_by, begin, end, greenlets) for path in rings_at(what)]
    if greenlets and not any(hub.profile.matched for hub in hubs):
        raise GreenscopeError(f"no greenlet is called {' or '.join(map(repr, greenlets))}, nor has that number")
    if collapsed:
        for line in _collapsed(hubs):
            click.echo(line)
    elif json_:
        click.echo(json.dumps({"version": VERSION, "hubs": [profile_as_json(hub, limit) for hub in hubs]}, indent=1))
    else:
        for hub in hubs:
            click.echo("\n".join(profile_as_text(hub, limit or _ROWS)))


def _profiled(path: Path, by: By, begin: int, end: int | None, greenlets: tuple[str, ...]) -> Profiled:
    with closing(RingReader(path)) as reader:
        info, state, now = reader.info, reader.state(), time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        start = info.start_monotonic_ns
        timeline = Timeline(start, reader.string)
        window = start + begin, _WHOLE if end is None else start + end
        batches = _batches(reader)
        first = next(batches, None)
        if first is not None and first.lost:
            # What still goes on began before what is known; of the rest of that time nothing is.
            window = max(window[0], _first(first)), window[1]
        made = Profile(by, reader, *window, _chooser(greenlets))
        timeline.listeners.append(lambda spans: made.add(spans, timeline))
        for batch in chain(() if first is None else (first,), batches):
            timeline.apply(batch, reader.greenlets() if batch.lost else ())
        if state != "live":
            now = reader.end_ns() or 0
        made.finish(timeline, max(now, timeline.last))
        rows = rows_of(made, reader)
        stacks = list(folded(made, reader)) if by is By.STACK else []
        return Profiled(info, state, made, rows, stacks, min(max(now, timeline.last), made.end), timeline.lost)


def _batches(reader: RingReader) -> Iterator[Batch]:
    """What there was when it was begun: a living ring has no end."""
    end = reader.head
    while True:
        batch = reader.read_batch()
        if batch:
            yield batch
        if reader.position >= end:
            return


def _first(batch: Batch) -> int:
    times = batch.events["time_ns"]
    times = times[times < END_OF_TIME]
    return int(times[0]) if len(times) else 0


def _chooser(greenlets: tuple[str, ...]) -> Callable[[int, str, str], bool] | None:
    wanted = set(greenlets)
    return (lambda *known: not wanted.isdisjoint(map(str, known))) if wanted else None


def _collapsed(hubs: list[Profiled]) -> Iterator[str]:
    """A line a stack: its frames, the outermost first, why it waited, and for how many microseconds."""
    sums: dict[str, int] = {}
    for hub in hubs:
        for frames, reason, total in hub.stacks:
            stack = ";".join([*map(_frame, frames), f"[{reason}]"])
            sums[stack] = sums.get(stack, 0) + total
    return (f"{stack} {total // 1000}" for stack, total in sums.items() if total >= 1000)


def _frame(site: Site) -> str:
    return printable(f"{site.function or '?'} ({site.file}:{site.line})").replace(";", ",")


# As JSON.


def profile_as_json(hub: Profiled, limit: int | None = None) -> dict[str, Any]:
    """A hub's profile as ``--json`` gives it; docs/profile.md lists the fields."""
    info, made = hub.info, hub.profile
    found: dict[str, Any] = {
        "pid": info.pid,
        "hub": info.hub,
        "argv": list(info.argv),
        "path": str(info.path),
        "state": hub.state,
        "by": str(made.by),
        "from_ns": hub.shown_from,
        "to_ns": hub.shown_to,
        "lost": hub.lost,
        "ran_ns": made.ran,
        "ready_ns": made.times[Part.HUB],
        "waited_ns": made.times[Part.WAIT],
        "slept_ns": made.times[Part.SLEEP],
        "idle_ns": made.times[Part.IDLE],
        "rows": [_row(hub, row) for part in Part for row in [row for row in hub.rows if row.part is part][:limit]],
    }
    if made.by is By.LATENCY:
        found |= _spread(made.latency)
    if made.by is By.LOAD:
        load = made.load
        found |= {
            "busy_ns": load.busy,
            "polled_ns": load.polled,
            "stretch_ns": load.width,
            "loads": [{"least": each.least, "most": each.most, "count": each.count} for each in load.classes()],
            "longest_at_ns": load.away_longest_at - info.start_monotonic_ns if load.away.count else None,
            **_spread(load.away),
        }
    return found


def _spread(spread: Spread) -> dict[str, Any]:
    return {
        "times": spread.count,
        "total_ns": spread.total,
        "p50_ns": spread.quantile(50),
        "p99_ns": spread.quantile(99),
        "longest_ns": spread.longest,
        "classes": [
            {"least_ns": each.least, "below_ns": each.below or None, "count": each.count, "total_ns": each.total}
            for each in spread.classes()
        ],
    }


def _row(hub: Profiled, row: Row) -> dict[str, Any]:
    each = row.sum
    return {
        "kind": str(row.part),
        "reason": row.reason or None,
        "what": row.what or None,
        "sleeper": row.sleeper or None,
        "site": site_as_json(row.line),
        "stack": [site_as_json(frame) for frame in row.stack],
        "total_ns": each.total,
        "share": row.share,
        "count": each.count,
        "still": each.still,
        "mean_ns": each.total // each.count,
        "p99_ns": each.p99,
        "longest_ns": each.longest,
        "longest_at_ns": each.at - hub.info.start_monotonic_ns,
        "longest_greenlet": each.greenlet,
    }
