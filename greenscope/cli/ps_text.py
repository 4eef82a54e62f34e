"""How ``ps`` looks: a line or two a hub, then one table of all their greenlets.

On a terminal the table is cut to its width, and coloured; elsewhere it is plain text and whole, for
grep and awk. Cells are laid out here: rich's own table takes seconds for ten thousand rows.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from greenscope.cli.columns import laid_out, widths_of
from greenscope.cli.hub_view import HubView
from greenscope.cli.words import duration, line_of, printable, wall_time
from greenscope.trace.analysis.table import Row, counts, waiting_on

if TYPE_CHECKING:
    from rich.console import Group

__all__ = ["COLUMNS", "NUMERIC", "cells_of", "hub_words", "life", "show", "watch"]

COLUMNS = ("Hub", "Greenlet", "State", "For", "Waiting on", "Until", "Line", "Switches", "Run time")
NUMERIC = frozenset({3, 5, 7, 8})
_ELASTIC = (1, 4, 6)  # what is cut where the terminal is too narrow
_NARROWEST = 8
_OURS = "/greenscope/runtime/"
_STYLES = {"running": "green", "ready": "yellow", "waiting": "", "spawned": "dim"}  # the dashboard's colours

_Cells = tuple[str, ...]


def show(views: Sequence[HubView]) -> None:
    """Print it once."""
    if not sys.stdout.isatty():
        for line in _plain(views):
            print(line)
        return
    from rich.console import Console

    console = Console(highlight=False)
    console.print(_picture(views, console.width))


def watch(pictures: Iterator[Sequence[HubView]]) -> None:
    """Show one picture after the other, each in the place of the one before."""
    if not sys.stdout.isatty():
        for views in pictures:
            print("\n".join([*_plain(views), ""]), flush=True)
        return
    from rich.live import Live

    with Live(screen=True, auto_refresh=False) as live:
        for views in pictures:
            live.update(_picture(views, live.console.width, live.console.height), refresh=True)


def _plain(views: Sequence[HubView]) -> Iterator[str]:
    yield from _headlines(views)
    table = [COLUMNS, *(cells_of(view, row) for view in views for row in view.chosen)]
    if len(table) > 1:
        yield ""
        yield from laid_out(table, widths_of(table), NUMERIC)


def _picture(views: Sequence[HubView], width: int, height: int | None = None) -> Group:
    """The same for a terminal; its last line says how many rows found no place."""
    from rich.console import Group
    from rich.text import Text

    rows = [(view, row) for view in views for row in view.chosen]
    heads = list(_headlines(views))
    room = len(rows) if height is None else max(height - len(heads) - 3, 3)
    table = [COLUMNS, *(cells_of(view, row, short=True) for view, row in rows[:room])]
    if len(views) == 1:
        table = [("", *cells[1:]) for cells in table]
    lines = [line[: max(width, 1)] for line in laid_out(table, _widths(table, width), NUMERIC)]
    texts = [Text(line, no_wrap=True, overflow="ellipsis") for line in [*heads, ""]]
    styles = ["bold", *(_STYLES[row.state] for _, row in rows[:room])]
    texts.extend(Text(line, style, no_wrap=True) for line, style in zip(lines, styles, strict=True))
    if len(rows) > room:
        texts.append(Text(f"and {len(rows) - room} more"))
    return Group(*texts)


def _widths(table: Sequence[_Cells], most: int) -> list[int]:
    """How wide each column is, cut to a terminal's width if need be."""
    widths = widths_of(table)
    excess = sum(widths) + 2 * (sum(width > 0 for width in widths) - 1) - most
    while excess > 0:
        widest = max(_ELASTIC, key=widths.__getitem__)
        if widths[widest] <= _NARROWEST:
            break
        widths[widest] -= 1
        excess -= 1
    return widths


def cells_of(view: HubView, row: Row, short: bool = False) -> _Cells:
    """A row of the table, a text for each of ``COLUMNS``; the line without its directory if short."""
    until = ""
    if row.deadline_ns is not None:
        until = f"in {duration(row.deadline_ns)}" if row.deadline_ns >= 0 else f"{duration(-row.deadline_ns)} ago"
    return (
        f"{view.info.pid}/{view.info.hub}",
        printable(row.name),
        row.state,
        duration(row.for_ns),
        printable(waiting_on(row)),
        until,
        line_of(row.site, short),
        str(row.switches),
        duration(row.run_ns),
    )


def _headlines(views: Sequence[HubView]) -> Iterator[str]:
    """A line a process, and below it one a hub."""
    process = None
    for view in views:
        info = view.info
        if process != (process := (info.pid, info.argv)):
            yield printable(f"{info.pid} {' '.join(info.argv)}")
        who = printable(f"{info.pid}/{info.hub} {info.thread_name}")
        states = ", ".join(f"{number} {state}" for state, number in counts(view.rows).items() if number) or "nobody"
        yield f"  {who}: {life(view)}, {printable(hub_words(view))}; {states}"
        frames = [line_of(frame) for frame in view.stalled_in if _OURS not in frame.file]
        if frames:
            yield f"    seen in {' < '.join(frames)}"
        if view.unlisted:
            yield f"    {view.unlisted} greenlets found no room in the table: those of them that live are not listed"


def life(view: HubView) -> str:
    """Whether it lives, and since when, or for how long it did."""
    age = duration(view.now_ns - view.info.start_monotonic_ns)
    if view.state == "live":
        return f"live for {age}"
    if view.state == "snapshot":
        return f"as it was {wall_time(view.now_wall_ns)}, live for {age}"
    return f"{view.state}{'' if view.end_known else ', its last event'} {wall_time(view.now_wall_ns)} after {age}"


def hub_words(view: HubView) -> str:
    """What the hub does, and who keeps it from its poll."""
    if view.hub is None:
        return "not seen in its poll"
    lasting = duration(max(view.now_ns - view.hub.since_ns, 0))
    if view.hub.polling:
        return f"in its poll for {lasting}"
    running = next((row for row in view.rows if row.state == "running"), None)
    who = "" if running is None else f" ({running.name} has run for {duration(running.for_ns)})"
    return f"away from its poll for {lasting}{who}"
