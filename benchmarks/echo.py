"""CPU time of a request to an echo server: greenscope untraced and traced, gevent, asyncio.

    python -m benchmarks.echo                 1, 50 and 500 connections, some two minutes
    python -m benchmarks.echo --rounds 1 --requests 2000 --connections 50

What is compared is the processor time of the *server* (user and system, as the kernel accounts for
it, over the measured requests only). Not the rate: with one core for the server and one for the
client, the rate at few connections says how fast the two wake each other.

The servers take turns within a round, so that a machine that slows down slows all of them. Printed
are the median over the rounds, and the median of the rounds' ratios to gevent: what both met in the
same second does not count. Each server is its own process. The handlers are the same code line for
line, except asyncio's: that one uses its streams, because they are what one writes instead of ``recv``
and ``sendall`` (a ``Protocol`` costs less, and is another way to program).

The client is C (``echo_client.c``, compiled here into a temporary directory) and uses epoll: Linux only.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from operator import truediv
from pathlib import Path
from typing import Any

CLIENT_SOURCE = Path(__file__).with_name("echo_client.c")
ROOT = CLIENT_SOURCE.parent.parent

# What each server is called, the code that runs it, and what it is told by its environment.
SERVERS: dict[str, tuple[str, dict[str, str]]] = {
    "greenscope, untraced": ("greenscope", {"GREENSCOPE": "0"}),
    "greenscope, traced": ("greenscope", {"GREENSCOPE": "1"}),
    "gevent": ("gevent", {}),
    "asyncio streams": ("asyncio", {}),
}
BASELINE = "gevent"


# The servers


def handle(socket: Any, address: object) -> None:  # noqa: ARG001  (the servers' signature)
    while data := socket.recv(4096):
        socket.sendall(data)


def serve(kind: str, cpu: int) -> None:
    """Serve on a free port of 127.0.0.1, say which on stdout, and go on until killed."""
    if cpu >= 0:
        os.sched_setaffinity(0, {cpu})  # before there are threads, so that they are bound as well
    if kind == "asyncio":
        asyncio.run(_serve_asyncio())
        return
    server: Any
    if kind == "gevent":
        from gevent.server import StreamServer as GeventServer

        server = GeventServer(("127.0.0.1", 0), handle)
    else:
        from greenscope.runtime.server import StreamServer

        server = StreamServer(("127.0.0.1", 0), handle)
    server.start()
    print(server.server_port, flush=True)
    server.serve_forever()


async def _serve_asyncio() -> None:
    async def handle_streams(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(4096):
            writer.write(data)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(handle_streams, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


# The measurement


def cpu_seconds(pid: int) -> float:
    """User and system time of all threads of a process so far, dead ones included.

    This is ``clock_getcpuclockid(3)``, which Python lacks: nanoseconds, where ``/proc/PID/stat``
    counts in hundredths of a second. The id is the kernel's ``MAKE_PROCESS_CPUCLOCK(pid, CPUCLOCK_SCHED)``.
    """
    return time.clock_gettime((~pid << 3) | 2)


@contextmanager
def running(command: list[str], **kwargs: Any) -> Iterator[subprocess.Popen[str]]:
    """A process that is gone afterwards, whatever happens."""
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **kwargs)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def line_of(process: subprocess.Popen[str], what: str) -> str:
    assert process.stdout is not None
    line = process.stdout.readline().strip()
    if not line:
        raise SystemExit(f"echo: {what} ended with {process.wait()} (its message is above)")
    return line


def tell(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def measure(name: str, client: Path, connections: int, options: argparse.Namespace) -> tuple[float, float]:
    """Microseconds of CPU a request, and requests a second, of one fresh server."""
    kind, environment = SERVERS[name]
    server_cpu, client_cpu = processors()
    command = [sys.executable, "-m", "benchmarks.echo", "--serve", kind, "--cpu", str(server_cpu)]
    with (
        tempfile.TemporaryDirectory() as traces,
        running(command, cwd=ROOT, env={**os.environ, "GREENSCOPE_DIR": traces, **environment}) as server,
    ):
        port = line_of(server, name)
        numbers = map(str, (port, connections, options.requests, options.size))
        with running([str(client), *numbers]) as load:
            if client_cpu >= 0:
                os.sched_setaffinity(load.pid, {client_cpu})
            line_of(load, "the client")
            before = cpu_seconds(server.pid)
            tell(load)
            seconds = float(line_of(load, "the client"))
            used = cpu_seconds(server.pid) - before
    return used / options.requests * 1e6, options.requests / seconds


def processors() -> tuple[int, int]:
    """One for the server and one for the client; -1 for both where there are not two to choose from."""
    available = sorted(os.sched_getaffinity(0))
    return (available[0], available[1]) if len(available) > 1 else (-1, -1)


def compile_client(directory: Path) -> Path:
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None:
        raise SystemExit("echo: the client is C, and there is no compiler: apt-get install gcc")
    client = directory / "echo_client"
    subprocess.run([compiler, "-O2", "-std=c11", "-o", client, CLIENT_SOURCE], check=True)
    return client


def progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r{text:60}\r", end="", file=sys.stderr, flush=True)


def run(options: argparse.Namespace) -> list[dict[str, Any]]:
    costs: dict[tuple[str, int], list[float]] = defaultdict(list)
    rates: dict[tuple[str, int], list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as directory:
        client = compile_client(Path(directory))
        for number in range(options.rounds):
            for connections in options.connections:
                for name in options.servers:
                    progress(f"round {number + 1}: {connections} connections, {name}")
                    cost, rate = measure(name, client, connections, options)
                    costs[name, connections].append(cost)
                    rates[name, connections].append(rate)
    progress("")
    return [
        {
            "server": name,
            "connections": connections,
            "cpu_us_per_request": round(statistics.median(values), 3),
            "cpu_us_per_request_rounds": [round(value, 3) for value in values],
            "requests_per_second": round(statistics.median(rates[name, connections])),
            f"ratio_to_{BASELINE}": (
                round(statistics.median(map(truediv, values, costs[BASELINE, connections])), 3)
                if BASELINE in options.servers
                else None
            ),
        }
        for (name, connections), values in costs.items()
    ]


def report(results: list[dict[str, Any]], options: argparse.Namespace) -> None:
    print(
        f"CPU microseconds a request (median of {options.rounds} rounds of {options.requests} requests"
        f" of {options.size} bytes), Python {sys.version.split()[0]}"
    )
    print(f"{'connections':>11}  {'server':22}{'CPU µs':>8}{'÷ ' + BASELINE:>10}{'requests/s':>12}   lowest … highest")
    for row in results:
        ratio = row[f"ratio_to_{BASELINE}"]
        rounds = row["cpu_us_per_request_rounds"]
        print(
            f"{row['connections']:>11}  {row['server']:22}{row['cpu_us_per_request']:>8.2f}"
            f"{'' if ratio is None else format(ratio, '.2f'):>10}{row['requests_per_second']:>12}"
            f"   {min(rounds):.2f} … {max(rounds):.2f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.echo", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=30_000, help="a measurement")
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 50, 500])
    parser.add_argument("--size", type=int, default=128, help="bytes a request")
    parser.add_argument("--servers", nargs="+", choices=SERVERS, default=list(SERVERS), metavar="NAME")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--cpu", type=int, default=-1, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve, options.cpu)
        return
    if sys.platform != "linux":
        parser.error("the client needs Linux's epoll")
    results = run(options)
    if options.json:
        print(json.dumps({"python": sys.version.split()[0], "results": results}, indent=2))
    else:
        report(results, options)


if __name__ == "__main__":
    main()
