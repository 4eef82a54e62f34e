"""``greenscope record``: a program, and its recording in a file."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import click

from greenscope.cli.program import (
    DETAIL_OPTION,
    GEVENT_OPTION,
    RING_OPTION,
    STACKS_OPTION,
    ProgramCommand,
    command_of,
    run_to_end,
    traced_environment,
)
from greenscope.cli.snapshot import further_file
from greenscope.errors import GreenscopeError, RingFormatError
from greenscope.trace.rings import rings_in
from greenscope.trace.snapshot import snapshot

__all__ = ["record"]


@click.command(cls=ProgramCommand, options_metavar="-o FILE.gsr [-m MODULE | SCRIPT] [ARGS]...")
@click.argument("program", nargs=-1, metavar="", type=click.UNPROCESSED)
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="The recording. Further hubs (of threads, of forked processes) go beside it as FILE-2.gsr and so on.",
)
@RING_OPTION
@GEVENT_OPTION
@DETAIL_OPTION
@STACKS_OPTION
def record(
    program: tuple[str, ...], output: Path, ring_mb: int | None, gevent: bool, detail: str | None, stacks: bool
) -> None:
    """Run a program that uses greenscope.runtime, or gevent, and leave its recording in a file.

    However the program ends, killed too, the recording holds what happened until then. The exit
    code is the program's. Look at it with: greenscope serve FILE.gsr
    """
    command = command_of(program, gevent)
    parent = output.resolve().parent
    if not parent.is_dir():
        raise GreenscopeError(f"there is no directory {str(parent)!r} to put {output.name!r} into")
    # The rings are written next to where they go, so that keeping them cannot fail for want of space.
    with tempfile.TemporaryDirectory(prefix=f".{output.stem}-", dir=parent) as name:
        directory = Path(name)
        code = run_to_end(command, traced_environment(directory, ring_mb, detail, stacks, keep_all=True))
        kept = _keep(directory, output, time.clock_gettime_ns(time.CLOCK_MONOTONIC))
    if not kept:
        click.echo(
            f"greenscope: nothing to keep in {output}: the program made no hub, or could not record (it said so above)",
            err=True,
        )
    for path in kept:
        click.echo(f"greenscope: recorded {path}; look at it with: greenscope serve {path}", err=True)
    sys.exit(code)


def _keep(directory: Path, output: Path, ended_ns: int) -> list[Path]:
    kept = []
    for number, ring in enumerate(rings_in(directory), start=1):
        target = further_file(output, number)
        # A child that outlives the program still writes into its ring, and so that one is kept itself.
        if ring.state == "live" or not _compacted(ring.path, target, ended_ns):
            ring.path.rename(target)
        kept.append(target)
    return kept


def _compacted(ring: Path, target: Path, ended_ns: int) -> bool:
    """Leave a copy that is no larger than what is in it, if there is space for one."""
    try:
        snapshot(ring, target, ended_ns=ended_ns)
    except (OSError, RingFormatError):
        return False
    return True
