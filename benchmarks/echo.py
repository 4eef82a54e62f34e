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
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

from benchmarks import servers
from benchmarks.servers import ROOT, cpu_seconds, line_of, print_table, processors, progress, running, summary

CLIENT_SOURCE = Path(__file__).with_name("echo_client.c")

SERVERS = {**servers.SERVERS, "asyncio streams": ("asyncio", {})}


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


def compile_client(directory: Path) -> Path:
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None:
        raise SystemExit("echo: the client is C, and there is no compiler: apt-get install gcc")
    client = directory / "echo_client"
    subprocess.run([compiler, "-O2", "-std=c11", "-o", client, CLIENT_SOURCE], check=True)
    return client


def run(options: argparse.Namespace) -> list[dict[str, Any]]:
    costs: dict[tuple[Any, ...], list[float]] = defaultdict(list)
    rates: dict[tuple[Any, ...], list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as directory:
        client = compile_client(Path(directory))
        for number in range(options.rounds):
            for connections in options.connections:
                for name in options.servers:
                    progress(f"round {number + 1}: {connections} connections, {name}")
                    cost, rate = measure(name, client, connections, options)
                    costs[connections, name].append(cost)
                    rates[connections, name].append(rate)
    progress("")
    return summary(("connections", "server"), costs, rates)


def report(results: list[dict[str, Any]], options: argparse.Namespace) -> None:
    print(
        f"CPU microseconds a request (median of {options.rounds} rounds of {options.requests} requests"
        f" of {options.size} bytes), Python {sys.version.split()[0]}"
    )
    print_table({"connections": ">11"}, results)


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
