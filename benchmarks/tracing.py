"""What recording costs a server: processor time of a request, traced ÷ untraced.

    python -m benchmarks.tracing                          an echo server, 50 and 500 connections; two minutes
    python -m benchmarks.tracing --traced GREENSCOPE_DETAIL=io    another traced run, by its environment

An echo server is the worst case: a request is some microseconds of work and six events. Both servers
live side by side, each with its own client (``echo_client.c``) and its own connections, and take turns of a
few tens of milliseconds, so that a machine that slows down slows both. Printed are the median of the
rounds' ratios, and the quarter of them below and above; and the median cost of each.

The untraced server runs with GREENSCOPE=0: what it is compared with has no recording at all. A round
first fills the traced server's ring once, because a ring that is written for the first time is also
mapped page by page; ``--fresh`` leaves that out.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from operator import truediv
from pathlib import Path
from typing import Any

from benchmarks.echo import compile_client, tell
from benchmarks.servers import ROOT, cpu_seconds, line_of, processors, progress, running

_EVENTS_A_REQUEST = 6
_RING_EVENTS = 1 << 20


class Side:
    """One server and its client."""

    def __init__(self, server: Any, client: Any, requests: int) -> None:
        self._server = server
        self._client = client
        self._requests = requests

    def burst(self) -> float:
        """Microseconds of CPU a request."""
        before = cpu_seconds(self._server.pid)
        tell(self._client)
        line_of(self._client, "the client")
        return (cpu_seconds(self._server.pid) - before) / self._requests * 1e6


@contextmanager
def side(environment: dict[str, str], client: Path, connections: int, options: argparse.Namespace) -> Iterator[Side]:
    server_cpu, client_cpu = processors()
    command = [sys.executable, "-m", "benchmarks.echo", "--serve", "greenscope", "--cpu", str(server_cpu)]
    with (
        tempfile.TemporaryDirectory() as traces,
        running(command, cwd=ROOT, env={**os.environ, "GREENSCOPE_DIR": traces, **environment}) as server,
    ):
        port = line_of(server, "the server")
        with running([str(client), *map(str, (port, connections, options.requests, options.size))]) as load:
            if client_cpu >= 0:
                os.sched_setaffinity(load.pid, {client_cpu})
            line_of(load, "the client")
            yield Side(server, load, options.requests)


def compare(client: Path, connections: int, options: argparse.Namespace) -> dict[str, Any]:
    with ExitStack() as stack:
        untraced = stack.enter_context(side({"GREENSCOPE": "0"}, client, connections, options))
        traced = stack.enter_context(side(options.traced, client, connections, options))
        if not options.fresh:
            for _ in range(_RING_EVENTS // (_EVENTS_A_REQUEST * options.requests) + 1):
                traced.burst()
        pairs = []
        for number in range(options.rounds):
            progress(f"{connections} connections: {number + 1} of {options.rounds}")
            # Who comes first changes, so that neither always finds what the other left in the caches.
            order = (traced, untraced) if number % 2 else (untraced, traced)
            costs = {one: one.burst() for one in order}
            pairs.append((costs[traced], costs[untraced]))
    progress("")
    low, middle, high = statistics.quantiles([truediv(*pair) for pair in pairs], n=4, method="inclusive")
    return {
        "connections": connections,
        "traced_us": round(statistics.median(pair[0] for pair in pairs), 3),
        "untraced_us": round(statistics.median(pair[1] for pair in pairs), 3),
        "ratio": round(middle, 3),
        "ratio_quartiles": [round(low, 3), round(high, 3)],
    }


def assignment(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tracing", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=61)
    parser.add_argument("--requests", type=int, default=5000, help="a turn")
    parser.add_argument("--connections", type=int, nargs="+", default=[50, 500])
    parser.add_argument("--size", type=int, default=128, help="bytes a request")
    parser.add_argument("--traced", type=assignment, action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--fresh", action="store_true", help="measure the ring's first round too")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    options = parser.parse_args()
    if sys.platform != "linux":
        parser.error("the client needs Linux's epoll")
    options.traced = dict(options.traced)
    with tempfile.TemporaryDirectory() as directory:
        client = compile_client(Path(directory))
        results = [compare(client, connections, options) for connections in options.connections]
    if options.json:
        print(json.dumps({"python": sys.version.split()[0], "results": results}, indent=2))
        return
    print(
        f"CPU microseconds a request of an echo server, traced ÷ untraced (median of {options.rounds} turns of"
        f" {options.requests} requests of {options.size} bytes), Python {sys.version.split()[0]}"
    )
    print(f"{'connections':>11}{'untraced µs':>13}{'traced µs':>11}{'ratio':>8}   quartiles")
    for row in results:
        low, high = row["ratio_quartiles"]
        print(
            f"{row['connections']:>11}{row['untraced_us']:>13.2f}{row['traced_us']:>11.2f}{row['ratio']:>8.3f}"
            f"   {low:.3f} … {high:.3f}"
        )


if __name__ == "__main__":
    main()
