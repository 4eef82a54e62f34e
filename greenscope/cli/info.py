"""``greenscope info``: whose a recording is, what is in it, what was lost, and how it ended."""

from __future__ import annotations

import json
import shlex
from contextlib import closing
from pathlib import Path
from typing import Any

import click

from greenscope.cli.ring_argument import RingArgument
from greenscope.cli.words import duration, printable, wall_time
from greenscope.trace.events import Detail, Snapshot
from greenscope.trace.reader import RingReader

__all__ = ["info"]


@click.command()
@click.argument("path", metavar="FILE.gsr | PID", type=RingArgument())
@click.option("--json", "as_json", is_flag=True, help="The same as JSON; docs/recordings.md lists its fields.")
def info(path: Path, as_json: bool) -> None:
    """Say whose a recording is, what is in it, what was lost, and how it ended."""
    with closing(RingReader(path)) as reader:
        facts = _facts(reader)
    if as_json:
        click.echo(json.dumps(facts, indent=1))
        return
    lines = _lines(facts)
    width = max(map(len, lines))
    for name, text in lines.items():
        click.echo(printable(f"{name:<{width}}  {text}"))


def _facts(reader: RingReader) -> dict[str, Any]:
    header, counters, state = reader.info, reader.counters(), reader.state()
    end, head, oldest = reader.end_ns(), reader.head, reader.oldest
    ended = None if state == "live" or end is None else end - header.start_monotonic_ns
    return {
        "path": str(header.path),
        "version": header.version,
        "writer": header.writer,
        "pid": header.pid,
        "hub": header.hub,
        "thread": header.thread_name,
        "thread_id": header.thread_id,
        "argv": list(header.argv),
        "executable": header.executable,
        "host": header.host,
        "boot_id": header.boot_id,
        "process_start": header.process_start,
        "started": header.start_wall_ns / 1e9,
        "state": state,
        "ended_after_ns": ended,
        "snapshot_after_ns": header.snapshot_ns - header.start_monotonic_ns if header.snapshot_ns else None,
        "snapshot_reason": _word(Snapshot, header.snapshot_reason) if header.snapshot_ns else None,
        "detail": _word(Detail, counters["detail"]),
        "stall_ns": header.stall_ns,
        "records": head,
        "records_kept": head - oldest,
        "records_lost": oldest,
        "capacity": header.event_capacity,
        "space_lost": bool(counters["space_lost"]),
        "watch_records": counters["watch_head"],
        "greenlets": len(reader.greenlets()),
        "greenlets_lost": counters["slots_lost"],
        "sites": max(counters["site_count"] - 1, 0),
        "sites_lost": counters["sites_lost"],
        "string_bytes": counters["string_used"],
        "strings_lost": counters["strings_lost"],
    }


def _word(enum: type[Detail | Snapshot], number: int) -> str:
    try:
        return enum(number).name.lower()
    except ValueError:
        return str(number)


def _lines(facts: dict[str, Any]) -> dict[str, str]:
    program = f"process {facts['pid']}, hub {facts['hub']}, thread {facts['thread']}"
    lines = {
        "file": f"{facts['path']}, version {facts['version']}, by {facts['writer']}",
        "program": shlex.join(facts["argv"]),
        "of": f"{program}, on {facts['host']}",
        "began": wall_time(round(facts["started"] * 1e9)),
        "end": _end(facts),
    }
    if facts["snapshot_after_ns"] is not None:
        lines["copied"] = f"{duration(max(facts['snapshot_after_ns'], 0))} after it began: {facts['snapshot_reason']}"
    lines |= {
        "detail": facts["detail"],
        "stalls": f"watched, from {duration(facts['stall_ns'])} on" if facts["stall_ns"] else "not watched",
        "records": _kept(facts),
        "greenlets": _amount(facts["greenlets"], "living", facts["greenlets_lost"]),
        "lines": _amount(facts["sites"], "of code", facts["sites_lost"]),
        "names": _amount(facts["string_bytes"], "bytes", facts["strings_lost"]),
    }
    return lines


def _end(facts: dict[str, Any]) -> str:
    after = facts["ended_after_ns"]
    when = "" if after is None else f" {duration(max(after, 0))} after it began"
    return {
        "live": "it is being written",
        "ended": f"ended in good order{when}",
        "died": f"died{when}: killed, or crashed" if when else "died: killed, or crashed; when is not known",
        "snapshot": f"it was live{when}, when this copy was taken",
    }[facts["state"]]


def _kept(facts: dict[str, Any]) -> str:
    text = f"{facts['records_kept']} of {facts['records']}, {facts['records_lost']} overwritten"
    if facts["space_lost"]:
        text += "; no more space was to be had"
    return f"{text}; {facts['watch_records']} of the watchdog" if facts["watch_records"] else text


def _amount(count: int, of: str, lost: int) -> str:
    return f"{count} {of}, {lost} found no room" if lost else f"{count} {of}"
