"""What a viewer that follows the ring of a server costs the server: CPU time of a request, with one and without.

    python -m benchmarks.live_reader              50 connections, half a minute
    python -m benchmarks.live_reader --rounds 3 --requests 20000

The server is the traced one of ``benchmarks.echo``, which writes eight events a request: in turn alone; while
``greenscope serve`` reads all of it; and while a process does the same work at the same pace on a ring that
is not this server's. On two processors the viewer takes time from the client, whose pace decides how much
a server has to do between two polls, and so what a request costs; the third tells that from what it costs
the writer to be read. Ratios are of two servers of the same round; their medians are printed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from operator import truediv
from pathlib import Path
from typing import Any

from benchmarks.echo import compile_client, tell
from benchmarks.servers import ROOT, cpu_seconds, line_of, processors, progress, running
from greenscope.trace.analysis import Timeline
from greenscope.trace.reader import RingReader
from greenscope.trace.snapshot import snapshot

ALONE, READ, OTHER = "nobody reads", "a viewer reads it", "one reads another ring"
_FOLLOW_SECONDS = 0.05  # as the viewer's


def replay(path: Path, events_a_second: int) -> None:
    """Read and fold a ring at a pace, over and over, until killed."""
    limit = max(int(events_a_second * _FOLLOW_SECONDS), 1)
    print("ready", flush=True)
    while True:
        reader = RingReader(path)
        timeline = Timeline(reader.info.start_monotonic_ns, reader.string)
        while batch := reader.read_batch(limit):
            timeline.apply(batch)
            time.sleep(_FOLLOW_SECONDS)
        reader.close()


@contextlib.contextmanager
def viewer(directory: str, cpu: int) -> Iterator[None]:
    """A viewer of all rings in a directory."""
    command = [sys.executable, "-m", "greenscope", "serve", directory, "--port", "0"]
    with running(command, cwd=ROOT, stderr=subprocess.PIPE) as process:
        if cpu >= 0:
            os.sched_setaffinity(process.pid, {cpu})
        assert process.stderr is not None
        if "http" not in process.stderr.readline():
            raise SystemExit("live_reader: the viewer did not come up")
        yield


@contextlib.contextmanager
def other(ring: Path, cpu: int, pace: int) -> Iterator[None]:
    """A process that does a viewer's work on a ring that nobody writes."""
    command = [sys.executable, "-m", "benchmarks.live_reader", "--replay", str(ring), "--pace", str(pace)]
    with running(command, cwd=ROOT) as process:
        if cpu >= 0:
            os.sched_setaffinity(process.pid, {cpu})
        line_of(process, "the other reader")
        yield


def measure(name: str, directory: Path, pace: int, options: argparse.Namespace) -> tuple[float, int]:
    """Microseconds of CPU a request of one fresh server, and the events it wrote a second."""
    server_cpu, client_cpu = processors()
    kept = directory / "other.gsr"
    command = [sys.executable, "-m", "benchmarks.echo", "--serve", "greenscope", "--cpu", str(server_cpu)]
    with contextlib.ExitStack() as stack:
        traces = stack.enter_context(tempfile.TemporaryDirectory())
        environment = {**os.environ, "GREENSCOPE": "1", "GREENSCOPE_DIR": traces}
        server = stack.enter_context(running(command, cwd=ROOT, env=environment))
        port = line_of(server, "the server")
        if name == READ:
            stack.enter_context(viewer(traces, client_cpu))
        elif name == OTHER:
            stack.enter_context(other(kept, client_cpu, pace))
        numbers = map(str, (port, options.connections, options.requests, 128))
        load = stack.enter_context(running([str(directory / "echo_client"), *numbers]))
        if client_cpu >= 0:
            os.sched_setaffinity(load.pid, {client_cpu})
        line_of(load, "the client")
        before = cpu_seconds(server.pid)
        tell(load)
        seconds = float(line_of(load, "the client"))
        used = cpu_seconds(server.pid) - before
        (ring,) = Path(traces).glob("*.gsr")
        reader = RingReader(ring)
        pace = int(reader.head / seconds)
        reader.close()
        if name == ALONE:
            snapshot(ring, kept)
    return used / int(options.requests) * 1e6, pace


def run(options: argparse.Namespace) -> dict[str, Any]:
    costs: dict[str, list[float]] = {ALONE: [], READ: [], OTHER: []}
    with tempfile.TemporaryDirectory() as directory:
        compile_client(Path(directory))
        pace = 0
        for number in range(options.rounds):
            for name in (ALONE, READ, OTHER) if number % 2 else (ALONE, OTHER, READ):
                progress(f"round {number + 1}: {name}")
                cost, found = measure(name, Path(directory), pace, options)
                costs[name].append(cost)
                pace = found if name == ALONE else pace
    progress("")
    return {
        name: {
            "cpu_us_per_request": round(statistics.median(values), 3),
            "rounds": [round(value, 3) for value in values],
            "ratio_to_alone": round(statistics.median(map(truediv, values, costs[ALONE])), 3),
            "ratio_to_other": round(statistics.median(map(truediv, values, costs[OTHER])), 3),
        }
        for name, values in costs.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.live_reader", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--requests", type=int, default=40_000, help="a measurement")
    parser.add_argument("--connections", type=int, default=50)
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    parser.add_argument("--replay", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--pace", type=int, default=1, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.replay:
        replay(options.replay, options.pace)
        return
    if sys.platform != "linux":
        parser.error("the client needs Linux's epoll")
    results = run(options)
    if options.json:
        print(json.dumps({"python": sys.version.split()[0], "results": results}, indent=2))
        return
    print(
        f"CPU microseconds a request of a traced echo server (median of {options.rounds} rounds of"
        f" {options.requests} requests, {options.connections} connections), Python {sys.version.split()[0]}"
    )
    print(f"{'':24}{'CPU µs':>8}{'÷ alone':>10}{'÷ another':>11}   lowest … highest")
    for name, row in results.items():
        print(
            f"{name:24}{row['cpu_us_per_request']:>8.2f}{row['ratio_to_alone']:>10.3f}{row['ratio_to_other']:>11.3f}"
            f"   {min(row['rounds']):.2f} … {max(row['rounds']):.2f}"
        )


if __name__ == "__main__":
    main()
