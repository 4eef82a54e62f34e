"""What following a gevent program costs it: CPU of a request to an echo server, gevent alone, followed, in viztracer.

    python -m benchmarks.gevent_attach                      50 connections; a minute and a half
    python -m benchmarks.gevent_attach --sets 20 --without viztracer

The same server three times: as it is; with ``greenscope run --gevent``'s way in, at level ``switch``; under
viztracer, which records every call of a function and not what is waited for. All three live at once, each with a
client (``echo_client.c``) of its own, and take turns of some tens of milliseconds, so that a machine that slows down
slows all. Two processes of one program differ by some per cent too, so there are several sets of fresh processes.
Printed is the median of the sets' ratios to gevent alone (of a set, the median of its turns' ratios), and its
standard error. ``--without greenscope`` and the like leave one out; ``--again`` puts gevent alone in greenscope's
place, which should give 1.

greenscope's ring is filled once before the first turn: mapped page by page, the first round costs more. The two
tracers keep the newest million of their events.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from benchmarks.echo import compile_client, tell
from benchmarks.servers import ROOT, cpu_seconds, line_of, processors, progress, running

_ECHO = ["-m", "benchmarks.echo", "--serve", "gevent"]
_RING_EVENTS = 1 << 20
_EVENTS_A_REQUEST = 6

SERVERS = {
    "gevent": _ECHO,
    "greenscope": ["-m", "greenscope.integrations.gevent", *_ECHO],
    "viztracer": ["-m", "viztracer", "--quiet", "--tracer_entries", "1000000", "-o", "viztracer.json", *_ECHO],
}


class Server:
    """One that serves, and its client."""

    def __init__(self, pid: int, load: Any, requests: int) -> None:
        self._pid = pid
        self._load = load
        self._requests = requests

    def turn(self) -> float:
        """Microseconds of CPU a request."""
        before = cpu_seconds(self._pid)
        tell(self._load)
        line_of(self._load, "the client")
        return (cpu_seconds(self._pid) - before) / self._requests * 1e6


@contextmanager
def server_of(name: str, client: Path, options: argparse.Namespace) -> Iterator[Server]:
    """A server in a fresh process."""
    ours, theirs = processors()
    command = [sys.executable, *SERVERS[name], "--cpu", str(ours)]
    with (
        tempfile.TemporaryDirectory() as traces,
        running(command, cwd=ROOT, env={**os.environ, "GREENSCOPE_DIR": traces}) as server,
    ):
        port = line_of(server, name)
        numbers = map(str, (port, options.connections, options.requests, options.size))
        with running([str(client), *numbers]) as load:
            if theirs >= 0:
                os.sched_setaffinity(load.pid, {theirs})
            line_of(load, "the client")
            yield Server(server.pid, load, options.requests)


def compare(options: argparse.Namespace, client: Path) -> list[dict[str, Any]]:
    """A row a server."""
    names = [name for name in SERVERS if name not in options.without]
    costs: dict[str, list[float]] = {name: [] for name in names}
    ratios: dict[str, list[float]] = {name: [] for name in names}
    for number in range(options.sets):
        progress(f"set {number + 1} of {options.sets}")
        order = names[number % len(names) :] + names[: number % len(names)]
        with ExitStack() as stack:
            servers = {name: stack.enter_context(server_of(name, client, options)) for name in order}
            if "greenscope" in servers and not options.fresh:
                for _ in range(_RING_EVENTS // _EVENTS_A_REQUEST // options.requests + 1):
                    servers["greenscope"].turn()
            for server in servers.values():
                server.turn()
            turns = [{name: servers[name].turn() for name in order} for _ in range(options.turns)]
        for name in names:
            costs[name] += [turn[name] for turn in turns]
            ratios[name].append(statistics.median(turn[name] / turn["gevent"] for turn in turns))
    progress("")
    return [row(name, costs[name], ratios[name]) for name in names]


def row(name: str, costs: list[float], ratios: list[float]) -> dict[str, Any]:
    low, middle, high = statistics.quantiles(ratios if len(ratios) > 1 else ratios * 2, n=4, method="inclusive")
    return {
        "server": name,
        "cpu_us": round(statistics.median(costs), 3),
        "ratio": round(middle, 4),
        # The standard error of a median, by the quartiles, which do not mind a set that was disturbed.
        "ratio_error": round(0.93 * (high - low) / math.sqrt(len(ratios)), 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gevent_attach", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--sets", type=int, default=10, help="of fresh servers, one after the other")
    parser.add_argument("--turns", type=int, default=9, help="of each server of a set")
    parser.add_argument("--requests", type=int, default=4000, help="a turn")
    parser.add_argument("--connections", type=int, default=50)
    parser.add_argument("--size", type=int, default=128, help="bytes a request")
    parser.add_argument("--without", nargs="+", choices=list(SERVERS)[1:], default=[], metavar="NAME")
    parser.add_argument("--again", action="store_true", help="gevent alone in greenscope's place")
    parser.add_argument("--fresh", action="store_true", help="measure the ring's first round too")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    options = parser.parse_args()
    if sys.platform != "linux":
        parser.error("the client needs Linux's epoll")
    if options.again:
        SERVERS["greenscope"] = _ECHO
    with tempfile.TemporaryDirectory() as name:
        results = compare(options, compile_client(Path(name)))
    if options.json:
        print(json.dumps({"python": sys.version.split()[0], "results": results}, indent=2))
        return
    print(
        f"gevent's echo server, CPU a request, {options.connections} connections: medians of {options.sets} sets of"
        f" servers, {options.turns} turns\nof {options.requests} requests of {options.size} bytes;"
        f" Python {sys.version.split()[0]}"
    )
    print(f"{'':12}{'µs':>8}{'ratio':>8}{'±':>7}")
    for result in results:
        print(f"{result['server']:12}{result['cpu_us']:>8.2f}{result['ratio']:>8.3f}{result['ratio_error']:>7.3f}")


if __name__ == "__main__":
    main()
