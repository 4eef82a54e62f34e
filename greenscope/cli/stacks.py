"""``greenscope stacks``: where every greenlet of a process stands, equal stacks once."""

from __future__ import annotations

import json
import linecache
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from greenscope.cli.hub_view import HubView, look
from greenscope.cli.words import duration, line_of, printable
from greenscope.errors import GreenscopeError
from greenscope.trace.analysis.as_json import site_as_json
from greenscope.trace.analysis.table import Row, waiting_on
from greenscope.trace.reader import RingReader
from greenscope.trace.recorder import trace_directory
from greenscope.trace.rings import rings_of
from greenscope.trace.stacks import Frames, NoAnswerError, Stacks, stacks_of

__all__ = ["stacks"]

_NAMED = 5  # greenlets of a group that get a line of their own
_OURS = "/greenscope/runtime/"
_HUB = 1


@dataclass(frozen=True, slots=True)
class _Stood:
    """A greenlet, or the hub, and its stack. ``row`` is None for who has none in the table."""

    view: HubView | None
    row: Row | None
    name: str
    frames: Frames

    @property
    def state(self) -> str:
        return self.row.state if self.row is not None else "running" if self.view is not None else "unknown"


@click.command()
@click.argument("what", metavar="PID")
@click.option(
    "--json", "json_", is_flag=True, help="The same as JSON, with every frame; docs/on-call.md lists its fields."
)
def stacks(what: str, json_: bool) -> None:
    """Print the stacks of all greenlets of a process, as they are now.

    Equal stacks are printed once, with the names of those who share them; frames of greenscope's own
    are left out. If the process holds the interpreter's lock in C, or is dead, or has no watchdog, its ring says
    at which line each greenlet waits.
    """
    if not what.isdecimal():
        raise GreenscopeError(f"{what!r} is not the number of a process; greenscope ps lists them")
    directory, pid = trace_directory(create=False), int(what)
    views = [(path, look(path)) for path in (ring.path for ring in rings_of(directory, pid))]
    found, why = None, ""
    if any(view.state == "live" for _, view in views):
        try:
            found = stacks_of(directory, pid)
        except NoAnswerError as error:
            why = str(error)
    else:
        why = f"the process {views[0][1].state}"
    if found is not None and not found.gil:
        why = "the interpreter's lock was not to be had: whoever runs holds it, in C"
    stood = [one for path, view in views for one in _stood(path, view, found)]
    if found is not None:
        stood.extend(_Stood(None, None, "raw greenlet", frames) for frames in found.unknown)
    if json_:
        click.echo(json.dumps(_as_json(pid, views[0][1], found, why, stood), indent=1))
    else:
        click.echo("\n".join(_as_text(pid, views[0][1], why, stood)))


def _stood(path: Path, view: HubView, found: Stacks | None) -> Iterator[_Stood]:
    """The greenlets of one hub. What the process says of a greenlet comes first, then what the ring does."""
    with closing(RingReader(path)) as reader:
        sites = {slot.greenlet: slot.site or slot.spawn_site for slot in reader.greenlets()}
        running = found.running.get(view.info.hub) if found is not None else None
        if running is not None and running.greenlet == _HUB and not running.polls:
            yield _Stood(view, None, "hub", running.frames)
        for row in view.rows:
            frames = found.parked.get((view.info.hub, row.greenlet)) if found is not None else None
            if running is not None and running.greenlet == row.greenlet:
                frames = running.frames
            yield _Stood(view, row, row.name, frames or tuple(reader.stack(sites.get(row.greenlet, 0))))


def _as_text(pid: int, view: HubView, why: str, stood: list[_Stood]) -> Iterator[str]:
    yield printable(f"{pid} {' '.join(view.info.argv)}")
    if why:
        yield printable(f"{why}; so the line at which a greenlet waits stands for its stack")
    groups: dict[tuple[str, Frames], list[_Stood]] = {}
    for one in stood:
        groups.setdefault((one.state, _shown(one.frames)), []).append(one)
    order = {"running": 0, "ready": 1, "waiting": 2, "spawned": 3, "unknown": 4}
    for (state, frames), group in sorted(groups.items(), key=lambda item: (order[item[0][0]], -len(item[1]))):
        yield ""
        yield f"{len(group)} greenlet{'s' if len(group) > 1 else ''}, {state}"
        for one in group[:_NAMED]:
            yield f"    {_described(one)}"
        if len(group) > _NAMED:
            yield f"    and {len(group) - _NAMED} more"
        for frame in frames:
            yield f"  {line_of(frame)}" if frame.file else f"  … {printable(frame.function)}"
            source = linecache.getline(frame.file, frame.line).strip() if frame.line else ""
            if source:
                yield f"      {printable(source)}"
        if not frames:
            yield "  (no line of the program is known)"


def _described(one: _Stood) -> str:
    hub = f"{one.view.info.pid}/{one.view.info.hub} " if one.view is not None else ""
    if one.row is None:
        return f"{hub}{one.name}"
    what = waiting_on(one.row)
    return printable(f"{hub}{one.name}: {what + ' ' if what else ''}for {duration(one.row.for_ns)}")


def _shown(frames: Frames) -> Frames:
    return tuple(frame for frame in frames if _OURS not in frame.file) or frames


def _as_json(pid: int, view: HubView, found: Stacks | None, why: str, stood: list[_Stood]) -> dict[str, Any]:
    return {
        "pid": pid,
        "argv": list(view.info.argv),
        "from": "ring" if found is None else "process",
        "gil": found is not None and found.gil,
        "why": why or None,
        "greenlets": [
            {
                "hub": one.view.info.hub if one.view is not None else None,
                "greenlet": one.row.greenlet if one.row is not None else _HUB if one.view is not None else None,
                "name": one.name,
                "state": one.state,
                "for_ns": one.row.for_ns if one.row is not None else None,
                "reason": (one.row.reason or None) if one.row is not None else None,
                "resource": one.row.resource if one.row is not None else None,
                "fd": one.row.fd if one.row is not None else None,
                "peer": (one.row.peer or None) if one.row is not None else None,
                "stack": [site_as_json(frame) for frame in one.frames],
            }
            for one in stood
        ],
    }
