"""``greenscope rings``: which rings there are in the trace directory, and what removes those of the dead."""

from __future__ import annotations

import json
import re
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

import click

from greenscope.cli.words import duration, printable, wall_time
from greenscope.errors import GreenscopeError
from greenscope.trace.recorder import trace_directory
from greenscope.trace.ring_opening import keep_limits
from greenscope.trace.ring_pruning import KeepLimits, prune
from greenscope.trace.rings import FoundRing, rings_in

__all__ = ["as_json", "rings"]

_COLUMNS = ("PID", "Hub", "State", "Began", "Last event", "Disk", "File", "Command")
_NUMERIC = frozenset({0, 1, 4, 5})
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_NO_LIMIT = 1 << 62


@click.group(invoke_without_command=True)
@click.option("--json", "json_", is_flag=True, help="The same as JSON.")
@click.pass_context
def rings(context: click.Context, json_: bool) -> None:
    """List the rings in the trace directory, the newest last; `greenscope rings prune` removes some.

    A ring is live while its process writes it; it ended if the process said goodbye, and died if not.
    """
    directory = trace_directory(create=False)
    if context.invoked_subcommand is not None:
        if json_:
            raise GreenscopeError("--json is for the list: give it without a command after it")
        return
    found = rings_in(directory)
    if json_:
        click.echo(json.dumps({"directory": str(directory), "rings": [as_json(ring) for ring in found]}, indent=1))
        return
    _show(found)
    living = sum(ring.state == "live" for ring in found)
    click.echo(f"{_count(found)} in {printable(str(directory))}, {living} of them live")


class _Age(click.ParamType):  # type: ignore[type-arg]  # generic in newer releases only
    """A time: a whole number and s, m, h or d."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        match = re.fullmatch(r"([0-9]{1,9})([smhd])", str(value), re.ASCII)
        if match is None:
            self.fail(f"{value!r} is no time: give a whole number and s, m, h or d, as 90m", param, ctx)
        return int(match[1]) * _SECONDS[match[2]]


@rings.command("prune")
@click.option(
    "--older-than", type=_Age(), metavar="TIME", help="What was last written to before that: 30s, 90m, 12h, 7d."
)
@click.option("--keep-mb", type=click.IntRange(0, 1 << 30), metavar="N", help="The oldest beyond so many mebibytes.")
@click.option("--all", "all_", is_flag=True, help="All of them.")
@click.option("--dry-run", is_flag=True, help="Say what would be removed, and remove nothing.")
def prune_(older_than: int | None, keep_mb: int | None, all_: bool, dry_run: bool) -> None:
    """Remove rings of processes that ended or died; never one that is live.

    Without an option it removes what the next hub to open its ring would: what is beyond
    GREENSCOPE_KEEP_HOURS, GREENSCOPE_KEEP_RINGS and GREENSCOPE_KEEP_MB. Files under other names
    than recorders give, and snapshots, stay.
    """
    limits = _limits(older_than, keep_mb, all_)
    directory = trace_directory(create=False)
    if not directory.is_dir():
        raise GreenscopeError(f"there is no directory {str(directory)!r}; GREENSCOPE_DIR names another")
    try:
        removed = prune(directory, limits, dry_run=dry_run)
    except OSError as error:
        raise GreenscopeError(f"{directory} cannot be pruned: {error.strerror or error}") from None
    if removed:
        _show(removed)
    click.echo(f"{'would remove' if dry_run else 'removed'} {_count(removed)}")


def _limits(older_than: int | None, keep_mb: int | None, all_: bool) -> KeepLimits:
    if all_:
        if older_than is not None or keep_mb is not None:
            raise GreenscopeError("--all leaves nothing for --older-than and --keep-mb to say: give it alone")
        return KeepLimits(seconds=_NO_LIMIT, rings=0, bytes=_NO_LIMIT)
    if older_than is None and keep_mb is None:
        return keep_limits()
    return KeepLimits(
        seconds=_NO_LIMIT if older_than is None else older_than,
        rings=_NO_LIMIT,
        bytes=_NO_LIMIT if keep_mb is None else keep_mb << 20,
    )


def as_json(ring: FoundRing) -> dict[str, Any]:
    """A ring as ``--json`` gives it; ``docs/on-call.md`` lists the fields."""
    return {
        "path": str(ring.path),
        "pid": ring.pid,
        "hub": ring.hub,
        "thread": ring.thread_name,
        "argv": list(ring.argv),
        "state": ring.state,
        "started": ring.start_wall_ns / 1e9,
        "seen": ring.seen_wall_ns / 1e9,
        "disk_bytes": ring.size_bytes,
        "boot_id": ring.boot_id,
        "process_start": ring.process_start,
    }


def _show(found: Sequence[FoundRing]) -> None:
    if not found:
        return
    now = time.time_ns()
    table = [_COLUMNS, *(_cells(ring, now) for ring in found)]
    most = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for line in _laid_out(table):
        click.echo(line if most is None or len(line) <= most else f"{line[: most - 1]}…")


def _cells(ring: FoundRing, now: int) -> tuple[str, ...]:
    return (
        str(ring.pid),
        str(ring.hub),
        ring.state,
        wall_time(ring.start_wall_ns).partition(".")[0],
        f"{duration(max(now - ring.seen_wall_ns, 0))} ago",
        _mebibytes(ring.size_bytes),
        printable(ring.path.name),
        printable(ring.command),
    )


def _laid_out(table: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for cells in table:
        texts = (
            text.rjust(width) if index in _NUMERIC else text.ljust(width)
            for index, (text, width) in enumerate(zip(cells, widths, strict=True))
        )
        yield "  ".join(texts).rstrip()


def _count(found: Sequence[FoundRing]) -> str:
    return f"{len(found)} ring{'' if len(found) == 1 else 's'}, {_mebibytes(sum(ring.size_bytes for ring in found))}"


def _mebibytes(size: int) -> str:
    return f"{size / (1 << 20):.1f} MiB"
