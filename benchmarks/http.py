"""CPU time of a request to a WSGI server: greenscope untraced and traced, and gevent's pywsgi.

    python -m benchmarks.http                 a GET and a POST of 1 KB at 1, 50 and 200 connections, five minutes
    python -m benchmarks.http --rounds 1 --seconds 1 --connections 50 --only GET

The same application on each, over connections that are kept, and without a log. What is compared is the
processor time of the *server*, user and system, over the measured requests only; not the rate, which at
few connections says how fast the two sides wake each other, and is printed beside it. Each server is
its own process, and has been warmed up. The servers take turns within a round, so that a machine that
slows down slows all of them; printed are the median over the rounds, and the median of the rounds' ratios
to gevent.

TCP_NODELAY is set for all of them. As it comes, gevent's server sends head and body apart and without it,
and has each second packet wait for the client's delayed ACK: some 23 requests a second on one connection,
which would say nothing about the processor.

The client is wrk (``apt-get install wrk``), with one thread. An answer that is not a 200 ends the benchmark.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.servers import (
    ROOT,
    SERVERS,
    cpu_seconds,
    line_of,
    print_table,
    processors,
    progress,
    running,
    summary,
)

REQUESTS = {"GET": "", "POST": 'wrk.method = "POST"; wrk.body = string.rep("x", 1024)\n'}

# Lua, which is how wrk is told what to send and what to say at the end.
REPORT = """
done = function(summary)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format("\\nresult %d %d %d\\n", summary.requests, failed, summary.duration))
end
"""


def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    if environ["REQUEST_METHOD"] == "POST":
        assert len(environ["wsgi.input"].read()) == 1024
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "13")])
    return [b"Hello, world\n"]


def serve(kind: str, cpu: int) -> None:
    """Serve on a free port of 127.0.0.1, say which on stdout, and go on until killed."""
    if cpu >= 0:
        os.sched_setaffinity(0, {cpu})  # before there are threads, so that they are bound as well
    server_class: Any
    if kind == "gevent":
        from gevent.pywsgi import WSGIServer as GeventServer

        server_class = GeventServer
    else:
        from greenscope.runtime.wsgi import WSGIServer

        server_class = WSGIServer
    server = server_class(("127.0.0.1", 0), application, log=None)
    server.start()
    server.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # what is accepted has it from there
    print(server.server_port, flush=True)
    server.serve_forever()


def load(port: str, script: Path, connections: int, seconds: int, cpu: int) -> tuple[int, float]:
    """Have wrk send requests for so many seconds: how many were answered, and in how many seconds."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(script), f"http://127.0.0.1:{port}/"]
    bind = partial(os.sched_setaffinity, 0, {cpu}) if cpu >= 0 else None
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, preexec_fn=bind)
    words = next(line for line in done.stdout.splitlines() if line.startswith("result ")).split()
    requests, failed, microseconds = map(int, words[1:])
    if failed or not requests:
        raise SystemExit(f"http: {failed} of {requests} requests failed; wrk said:\n{done.stdout}")
    return requests, microseconds / 1e6


Measure = Callable[[str, Path, int, int], tuple[float, float]]
"""Of a server's name, wrk's script, connections and seconds: microseconds of CPU a request, and requests a second."""


def measure(name: str, script: Path, connections: int, seconds: int) -> tuple[float, float]:
    """Microseconds of CPU a request, and requests a second, of one fresh server."""
    kind, environment = SERVERS[name]
    server_cpu, client_cpu = processors()
    command = [sys.executable, "-m", "benchmarks.http", "--serve", kind, "--cpu", str(server_cpu)]
    with (
        tempfile.TemporaryDirectory() as traces,
        running(command, cwd=ROOT, env={**os.environ, "GREENSCOPE_DIR": traces, **environment}) as server,
    ):
        port = line_of(server, name)
        load(port, script, connections, 1, client_cpu)
        before = cpu_seconds(server.pid)
        requests, took = load(port, script, connections, seconds, client_cpu)
        used = cpu_seconds(server.pid) - before
    return used / requests * 1e6, requests / took


def run(options: argparse.Namespace, servers: Iterable[str], measure: Measure) -> list[dict[str, Any]]:
    """What every request of ``options.only`` costs each server, in turn, round by round: rows as of ``summary``."""
    costs: dict[tuple[Any, ...], list[float]] = defaultdict(list)
    rates: dict[tuple[Any, ...], list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as directory:
        for method in options.only:
            Path(directory, method).write_text(REQUESTS[method] + REPORT)
        for number in range(options.rounds):
            for method in options.only:
                for connections in options.connections:
                    for name in servers:
                        progress(f"round {number + 1}: {method}, {connections} connections, {name}")
                        cost, rate = measure(name, Path(directory, method), connections, options.seconds)
                        costs[method, connections, name].append(cost)
                        rates[method, connections, name].append(rate)
    progress("")
    return summary(("request", "connections", "server"), costs, rates)


def report(results: list[dict[str, Any]], options: argparse.Namespace) -> None:
    print(
        f"CPU microseconds a request (median of {options.rounds} rounds of {options.seconds} seconds),"
        f" Python {sys.version.split()[0]}"
    )
    print_table({"request": "<8", "connections": ">11"}, results)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.http", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2, help="a measurement")
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 50, 200])
    parser.add_argument("--only", nargs="+", choices=REQUESTS, default=list(REQUESTS), metavar="REQUEST")
    parser.add_argument("--servers", nargs="+", choices=SERVERS, default=list(SERVERS), metavar="NAME")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--cpu", type=int, default=-1, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve, options.cpu)
        return
    if shutil.which("wrk") is None:
        parser.error("the client is wrk: apt-get install wrk")
    if sys.platform != "linux":
        parser.error("the processor time of another process is read as Linux has it")
    results = run(options, options.servers, measure)
    if options.json:
        print(json.dumps({"python": sys.version.split()[0], "results": results}, indent=2))
    else:
        report(results, options)


if __name__ == "__main__":
    main()
