"""``greenscope snapshot``: a copy of what a process has recorded."""

from __future__ import annotations

from pathlib import Path

import click

from greenscope.errors import GreenscopeError
from greenscope.trace import snapshot as trace
from greenscope.trace.recorder import trace_directory
from greenscope.trace.rings import rings_of

__all__ = ["further_file", "snapshot"]


def further_file(output: Path, number: int) -> Path:
    """Where the hub with this number, from 1, goes: FILE.gsr, FILE-2.gsr, FILE-3.gsr …"""
    return output if number == 1 else output.with_stem(f"{output.stem}-{number}")


@click.command()
@click.argument("pid", type=click.IntRange(1))
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    help="The copy. Further hubs of the process go beside it as FILE-2.gsr and so on.",
)
def snapshot(pid: int, output: Path) -> None:
    """Copy what a process has recorded, while it runs or after it died, into a file that is no larger than need be.

    The process does not notice; it may be blocked, stopped, or dead. Look at the copy with:
    greenscope serve FILE.gsr
    """
    rings = rings_of(trace_directory(create=False), pid)
    for number, ring in enumerate(rings, start=1):
        target = further_file(output, number)
        try:
            trace.snapshot(ring.path, target)
        except OSError as error:
            raise GreenscopeError(f"{ring.path} cannot be copied to {target}: {error.strerror}") from None
        click.echo(f"greenscope: copied hub {ring.hub} of process {pid}, {ring.state}, to {target}", err=True)
    click.echo(f"greenscope: look at it with: greenscope serve {output}", err=True)
