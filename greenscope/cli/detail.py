"""``greenscope detail``: how much a process records, and how much it is to record from here on."""

from __future__ import annotations

from contextlib import closing

import click

from greenscope.errors import GreenscopeError
from greenscope.trace.levels import NAMES
from greenscope.trace.reader import RingReader
from greenscope.trace.recorder import trace_directory
from greenscope.trace.rings import rings_of
from greenscope.trace.stacks import NoAnswerError, ask

__all__ = ["detail"]


@click.command()
@click.argument("what", metavar="PID")
@click.argument("level", required=False, type=click.Choice(NAMES))
def detail(what: str, level: str | None) -> None:
    """Print how much a process records: switch, io or teach; with a LEVEL, have it record so much from now on.

    The process hears of it at its hub's next poll: at once if it works, with the next thing that happens if
    it idles.
    """
    if not what.isdecimal():
        raise GreenscopeError(f"{what!r} is not the number of a process; greenscope ps lists them")
    directory, pid = trace_directory(create=False), int(what)
    rings = rings_of(directory, pid)
    if level is None:
        for ring in rings:
            with closing(RingReader(ring.path)) as reader:
                number = reader.counters()["detail"]
            click.echo(f"hub {ring.hub}: {NAMES[number] if number < len(NAMES) else number}")
        return
    if all(ring.state != "live" for ring in rings):
        raise GreenscopeError(f"process {pid} {rings[0].state}: it records nothing more")
    try:
        ask(directory, pid, f"detail {level}")
    except NoAnswerError as error:
        raise GreenscopeError(f"process {pid}: {error}") from None
