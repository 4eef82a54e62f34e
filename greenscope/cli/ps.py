"""``greenscope ps``: what the greenlets of living processes do now, read from outside."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from greenscope.cli import ps_text
from greenscope.cli.hub_view import HubView, look
from greenscope.errors import GreenscopeError
from greenscope.trace.analysis.as_json import site_as_json
from greenscope.trace.analysis.table import SORTS, STATES
from greenscope.trace.recorder import trace_directory
from greenscope.trace.rings import rings_in, rings_of

__all__ = ["as_json", "ps"]

_REFRESH_SECONDS = 1.0


@click.command()
@click.argument("what", required=False, metavar="[PID | FILE.gsr]")
@click.option("--all", "dead", is_flag=True, help="Processes that ended or died as well, as they were then.")
@click.option("--state", "states", multiple=True, type=click.Choice(STATES), help="Only these; may be repeated.")
@click.option("--sort", type=click.Choice(list(SORTS)), default="state", show_default=True, help="Order of the rows.")
@click.option("--json", "json_", is_flag=True, help="The same as JSON; docs/on-call.md lists its fields.")
@click.option("--watch", is_flag=True, help="Show it again every second, until Ctrl-C.")
def ps(what: str | None, dead: bool, states: tuple[str, ...], sort: str, json_: bool, watch: bool) -> None:
    """List the living greenlets of all processes that record, or of one.

    The process does not notice; it may be blocked, stopped, or dead: then the table is shown as it was.
    First comes who runs, then who is ready, then who has waited longest.
    """
    if json_ and watch:
        raise GreenscopeError("--json is one picture and --watch many: give one of them")
    directory = trace_directory(create=False)
    shown: set[Path] = set()

    def picture() -> list[HubView]:
        views = []
        for path in _paths(directory, what, dead, shown):
            try:
                view = look(path)
            except FileNotFoundError:  # it was removed just now
                continue
            view.chosen = sorted((row for row in view.rows if row.state in (states or STATES)), key=SORTS[sort])
            views.append(view)
        return views

    views = picture()
    if json_:
        click.echo(json.dumps({"hubs": [as_json(view) for view in views]}, indent=1))
    elif watch:
        with suppress(KeyboardInterrupt):
            ps_text.watch(_again(picture))
    else:
        if not views:
            click.echo(
                f"greenscope: no living process records into {directory}; --all shows those that ended", err=True
            )
        ps_text.show(views)


def _again(picture: Callable[[], list[HubView]]) -> Iterator[list[HubView]]:
    while True:
        yield picture()
        time.sleep(_REFRESH_SECONDS)


def _paths(directory: Path, what: str | None, dead: bool, shown: set[Path]) -> list[Path]:
    """The rings to look at. What was shown once stays, though its process may have ended.

    Raises:
        GreenscopeError: there is nothing of that number or name.
    """
    if what is None:
        rings = [ring for ring in rings_in(directory) if dead or ring.state == "live" or ring.path in shown]
    elif what.isdecimal():
        rings = rings_of(directory, int(what))
        if dead:
            rings = [ring for ring in rings_in(directory) if ring.pid == int(what)]
    elif Path(what).is_file():
        return [Path(what)]
    else:
        raise GreenscopeError(f"{what!r} is neither the number of a process nor a file")
    shown.update(ring.path for ring in rings)
    rings.sort(key=lambda ring: (ring.pid, ring.start_wall_ns, ring.hub))
    return [ring.path for ring in rings]


def as_json(view: HubView) -> dict[str, Any]:
    """A hub as ``--json`` gives it; ``docs/on-call.md`` lists the fields."""
    info = view.info
    return {
        "pid": info.pid,
        "hub": info.hub,
        "thread": info.thread_name,
        "thread_id": info.thread_id,
        "argv": list(info.argv),
        "host": info.host,
        "path": str(info.path),
        "state": view.state,
        "started": info.start_wall_ns / 1e9,
        "seen": view.now_wall_ns / 1e9,
        "hub_state": None if view.hub is None else "polling" if view.hub.polling else "away",
        "hub_for_ns": None if view.hub is None else max(view.now_ns - view.hub.since_ns, 0),
        "stalled_in": [site_as_json(at) for at in view.stalled_in],
        "unlisted": view.unlisted,
        "greenlets": [
            {
                "greenlet": row.greenlet,
                "name": row.name,
                "parent": row.parent,
                "state": row.state,
                "for_ns": row.for_ns,
                "reason": row.reason or None,
                "resource": row.resource,
                "fd": row.fd,
                "peer": row.peer or None,
                "deadline_ns": row.deadline_ns,
                "file": None if row.site is None else row.site.file,
                "line": None if row.site is None else row.site.line,
                "function": None if row.site is None else row.site.function,
                "switches": row.switches,
                "run_ns": row.run_ns,
            }
            for row in view.chosen
        ],
    }
