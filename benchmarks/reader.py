"""From a full ring to spans: events a second, their processor time, and the memory that ten million take.

    python -m benchmarks.reader                   some minute and a half
    python -m benchmarks.reader --rounds 1 --millions 1

Two rings of the default size, full, left by real programs: an echo server with 50 connections (few
greenlets, many events each), and one that spawns greenlets that wait once and end (a hundred thousand of
them, a handful of events each). Each is read and folded as the viewer does it, from the oldest event
there is to the newest, in a process of its own; printed is the median over the rounds. The rate is of
processor time, because the machine may be doing something else meanwhile.

For the memory, the same events go through one timeline again and again, later each time, and of other
greenlets where they are short, until ten million have; the peak is the kernel's (``ru_maxrss``), and what
the process took before is printed beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.echo import compile_client, tell
from benchmarks.servers import ROOT, line_of, progress, running
from greenscope.trace.analysis import Timeline
from greenscope.trace.reader import RingReader
from greenscope.trace.records import Batch

_CONNECTIONS = 50
_REQUESTS = 260_000  # eight events each: nearly twice what a ring of 32 MiB holds
OLD_GREENLETS = 2  # the hub and the main one

SHORT = """
from greenscope.runtime import joinall, sleep, spawn

for _ in range(24):
    joinall([spawn(sleep, 0.001) for _ in range(5000)])
"""


def echo_ring(directory: Path) -> None:
    """An echo server's."""
    command = [sys.executable, "-m", "benchmarks.echo", "--serve", "greenscope"]
    client = compile_client(directory)
    with running(command, cwd=ROOT, env={**os.environ, "GREENSCOPE": "1", "GREENSCOPE_DIR": str(directory)}) as server:
        port = line_of(server, "the server")
        with running([str(client), port, str(_CONNECTIONS), str(_REQUESTS), "128"]) as load:
            line_of(load, "the client")
            tell(load)
            line_of(load, "the client")


def short_ring(directory: Path) -> None:
    """A program's whose greenlets live for a moment."""
    environment = {**os.environ, "GREENSCOPE": "1", "GREENSCOPE_DIR": str(directory)}
    subprocess.run([sys.executable, "-c", SHORT], cwd=ROOT, env=environment, check=True)


RINGS: dict[str, Callable[[Path], None]] = {"echo, 50 connections": echo_ring, "short greenlets": short_ring}


def fold_once(path: Path) -> dict[str, float]:
    """Read and fold one ring to its end."""
    began, used = time.perf_counter(), time.process_time()
    reader = RingReader(path)
    timeline = Timeline(reader.info.start_monotonic_ns, reader.string)
    reading = 0.0
    while True:
        before = time.process_time()
        batch = reader.read_batch()
        reading += time.process_time() - before
        if not batch:
            break
        timeline.apply(batch, reader.greenlets() if batch.lost else ())
    used, wall = time.process_time() - used, time.perf_counter() - began
    reader.close()
    return {"events": timeline.events, "lanes": len(timeline.lanes), "seconds": wall, "cpu": used, "reading": reading,
            "illegal": timeline.illegal}  # fmt: skip


def fold_many(path: Path, events: int) -> dict[str, float]:
    """Fold a ring's events over and over, each time as if they had happened after those before."""
    names = RingReader(path)
    start = names.info.start_monotonic_ns
    timeline = Timeline(0, names.string)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.process_time()
    passed = newest = turn = 0
    while timeline.events < events:
        reader = RingReader(path)
        while batch := reader.read_batch():
            rows = batch.events.copy()
            rows["time_ns"] += np.uint64(passed)
            rows["time_ns"] -= np.uint64(start)
            newest = int(rows["time_ns"].max())
            rows["greenlet"][rows["greenlet"] > OLD_GREENLETS] += np.uint64(turn * 1_000_000)
            timeline.apply(Batch(batch.lost, rows, batch.texts))
        reader.close()
        passed, turn = newest, turn + 1
    used = time.process_time() - began
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"events": timeline.events, "cpu": used, "before_mib": before / 1024, "peak_mib": after / 1024}


def measure(path: Path, *arguments: str) -> dict[str, float]:
    """What a process of its own measures."""
    command = [sys.executable, "-m", "benchmarks.reader", "--ring", str(path), *arguments]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    result: dict[str, float] = json.loads(done.stdout)
    return result


def run(options: argparse.Namespace) -> list[dict[str, Any]]:
    results = []
    for name, make in RINGS.items():
        with tempfile.TemporaryDirectory() as directory:
            progress(f"{name}: the ring is being filled")
            make(Path(directory))
            (path,) = Path(directory).glob("*.gsr")
            rounds = []
            for number in range(options.rounds):
                progress(f"{name}: round {number + 1}")
                rounds.append(measure(path))
            middle = {key: statistics.median(found[key] for found in rounds) for key in rounds[0]}
            progress(f"{name}: {options.millions} million events")
            many = measure(path, "--millions", str(options.millions))
            rates = sorted(found["events"] / found["cpu"] for found in rounds)
            results.append({"ring": name, **middle, "rates": rates, "many": many})
    progress("")
    return results


def report(results: list[dict[str, Any]], options: argparse.Namespace) -> None:
    print(f"a full ring read and folded (median of {options.rounds} rounds), Python {sys.version.split()[0]}")
    print(f"{'ring':22}{'events':>10}{'lanes':>8}{'CPU s':>8}{'s':>8}{'reading':>9}   million events a second of CPU")
    for row in results:
        rates = [rate / 1e6 for rate in row["rates"]]
        print(
            f"{row['ring']:22}{row['events']:>10,.0f}{row['lanes']:>8,.0f}{row['cpu']:>8.3f}{row['seconds']:>8.3f}"
            f"{row['reading'] / row['cpu']:>9.0%}   {statistics.median(rates):.2f} ({rates[0]:.2f} … {rates[-1]:.2f})"
        )
    print("\nmany events through one timeline")
    print(f"{'ring':22}{'events':>12}{'CPU s':>8}{'million/s':>11}{'MiB before':>12}{'MiB at most':>13}")
    for row in results:
        many = row["many"]
        print(
            f"{row['ring']:22}{many['events']:>12,.0f}{many['cpu']:>8.2f}{many['events'] / many['cpu'] / 1e6:>11.2f}"
            f"{many['before_mib']:>12.0f}{many['peak_mib']:>13.0f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reader", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--millions", type=int, default=10, help="events for the memory")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    parser.add_argument("--ring", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.ring:
        many = "--millions" in sys.argv
        print(json.dumps(fold_many(options.ring, options.millions * 1_000_000) if many else fold_once(options.ring)))
        return
    results = run(options)
    if options.json:
        print(json.dumps({"python": sys.version.split()[0], "results": results}, indent=2))
    else:
        report(results, options)


if __name__ == "__main__":
    main()
