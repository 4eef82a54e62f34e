"""What recording costs a server: processor time of a request, traced ÷ untraced.

    python -m benchmarks.tracing                          50 and 500 connections; four minutes
    python -m benchmarks.tracing --work echo --traced GREENSCOPE_DETAIL=io    another traced run, by its environment

An echo server is the worst case: a request is some microseconds of work and six events. A page that reads
twice from redis, with redis-py, is what a service does. Both servers live side by side, each with its own
client (``echo_client.c``, wrk) and its own connections, and take turns of a few tens of milliseconds (of a
second, the page), so that a machine that slows down slows both. Printed are the median of the rounds'
ratios, and the quarter of them below and above; and the median cost of each.

The untraced server runs with GREENSCOPE=0: what it is compared with has no recording at all. A round
first fills the traced server's ring once, because a ring that is written for the first time is also
mapped page by page; ``--fresh`` leaves that out.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from operator import truediv
from pathlib import Path
from typing import Any

from benchmarks.echo import compile_client, tell
from benchmarks.http import REPORT
from benchmarks.http import load as wrk
from benchmarks.servers import ROOT, cpu_seconds, line_of, processors, progress, running

_EVENTS_A_REQUEST = 6
_RING_EVENTS = 1 << 20


Turn = Callable[[], float]
"""One turn of one server: microseconds of CPU a request."""


@contextmanager
def echo(environment: dict[str, str], connections: int, options: argparse.Namespace) -> Iterator[Turn]:
    """An echo server and its client."""
    with _server(["benchmarks.echo", "--serve", "greenscope"], environment) as (server, port):
        numbers = map(str, (port, connections, options.requests, options.size))
        with running([str(options.client), *numbers]) as load:
            _bind(load.pid)
            line_of(load, "the client")

            def turn() -> float:
                before = cpu_seconds(server.pid)
                tell(load)
                line_of(load, "the client")
                return (cpu_seconds(server.pid) - before) / float(options.requests) * 1e6

            yield turn


@contextmanager
def page(environment: dict[str, str], connections: int, options: argparse.Namespace) -> Iterator[Turn]:
    """A WSGI server whose page reads from redis, and wrk."""
    with _server(["benchmarks.tracing", "--serve-page", str(options.redis)], environment) as (server, port):

        def turn() -> float:
            before = cpu_seconds(server.pid)
            requests, _ = wrk(port, options.script, connections, 1, processors()[1])
            return (cpu_seconds(server.pid) - before) / requests * 1e6

        turn()  # its modules are imported, its pool of connections is made
        yield turn


@contextmanager
def _server(module: list[str], environment: dict[str, str]) -> Iterator[tuple[subprocess.Popen[str], str]]:
    command = [sys.executable, "-m", *module, "--cpu", str(processors()[0])]
    with (
        tempfile.TemporaryDirectory() as traces,
        running(command, cwd=ROOT, env={**os.environ, "GREENSCOPE_DIR": traces, **environment}) as server,
    ):
        yield server, line_of(server, "the server")


def _bind(pid: int) -> None:
    cpu = processors()[1]
    if cpu >= 0:
        os.sched_setaffinity(pid, {cpu})


def serve_page(redis_socket: str, cpu: int) -> None:
    """Serve a page with a counter and a value from redis on a free port, say which, and go on until killed."""
    if cpu >= 0:
        os.sched_setaffinity(0, {cpu})
    from greenscope.runtime import monkey

    monkey.patch_all()
    import redis

    from greenscope.runtime.wsgi import WSGIServer

    store: Any = redis.Redis(unix_socket_path=redis_socket)
    store.set("greeting", "Hello, world")

    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:  # noqa: ARG001
        body = b"%s, for the %dth time\n" % (store.get("greeting"), store.incr("visits"))
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
        return [body]

    server = WSGIServer(("127.0.0.1", 0), application, log=None)
    server.start()
    print(server.server_port, flush=True)
    server.serve_forever()


@contextmanager
def redis_server(directory: Path) -> Iterator[Path]:
    """A redis that keeps nothing, on a UNIX socket in a directory."""
    path = directory / "redis.sock"
    command = ["redis-server", "--port", "0", "--unixsocket", str(path), "--save", "", "--appendonly", "no"]
    with running([*command, "--dir", str(directory)]) as server:
        assert server.stdout is not None
        while "ready to accept connections" not in (line := server.stdout.readline()).lower():
            if not line:
                raise SystemExit(f"tracing: redis-server ended with {server.wait()}")
        _bind(server.pid)
        yield path


WORKS = {"echo": echo, "page": page}


def page_rounds(rounds: int) -> int:
    return max(2, rounds // 3)


def compare(work: str, connections: int, options: argparse.Namespace) -> dict[str, Any]:
    with ExitStack() as stack:
        untraced = stack.enter_context(WORKS[work]({"GREENSCOPE": "0"}, connections, options))
        traced = stack.enter_context(WORKS[work](options.traced, connections, options))
        if work == "echo" and not options.fresh:
            for _ in range(_RING_EVENTS // (_EVENTS_A_REQUEST * options.requests) + 1):
                traced()
        pairs = []
        rounds = options.rounds if work == "echo" else page_rounds(options.rounds)
        for number in range(rounds):
            progress(f"{work}, {connections} connections: {number + 1} of {rounds}")
            # Who comes first changes, so that neither always finds what the other left in the caches.
            order = (traced, untraced) if number % 2 else (untraced, traced)
            costs = {turn: turn() for turn in order}
            pairs.append((costs[traced], costs[untraced]))
    progress("")
    low, middle, high = statistics.quantiles([truediv(*pair) for pair in pairs], n=4, method="inclusive")
    return {
        "work": work,
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
    parser.add_argument("--work", nargs="+", choices=WORKS, default=list(WORKS), metavar="WORK")
    parser.add_argument("--rounds", type=int, default=61, help="of the echo server; a third as many of the page")
    parser.add_argument("--requests", type=int, default=5000, help="a turn of the echo server")
    parser.add_argument("--connections", type=int, nargs="+", default=[50, 500])
    parser.add_argument("--size", type=int, default=128, help="bytes a request of the echo server")
    parser.add_argument("--traced", type=assignment, action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--fresh", action="store_true", help="measure the ring's first round too")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    parser.add_argument("--serve-page", help=argparse.SUPPRESS)
    parser.add_argument("--cpu", type=int, default=-1, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve_page:
        serve_page(options.serve_page, options.cpu)
        return
    if sys.platform != "linux":
        parser.error("the client needs Linux's epoll")
    for program in ("redis-server", "wrk"):
        if "page" in options.work and shutil.which(program) is None:
            parser.error(f"the page needs {program}: apt-get install redis-server wrk; or --work echo")
    options.traced = dict(options.traced)
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        directory = Path(name)
        if "echo" in options.work:
            options.client = compile_client(directory)
        if "page" in options.work:
            options.redis = stack.enter_context(redis_server(directory))
            options.script = directory / "report.lua"
            options.script.write_text(REPORT)
        results = [compare(work, connections, options) for work in options.work for connections in options.connections]
    if options.json:
        print(json.dumps({"python": sys.version.split()[0], "results": results}, indent=2))
        return
    print(
        f"CPU microseconds a request, traced ÷ untraced (median of {options.rounds} turns of {options.requests}"
        f" requests of {options.size} bytes; of the page, {page_rounds(options.rounds)} seconds),"
        f" Python {sys.version.split()[0]}"
    )
    print(f"{'':6}{'connections':>11}{'untraced µs':>13}{'traced µs':>11}{'ratio':>8}   quartiles")
    for row in results:
        low, high = row["ratio_quartiles"]
        print(
            f"{row['work']:6}{row['connections']:>11}{row['untraced_us']:>13.2f}{row['traced_us']:>11.2f}"
            f"{row['ratio']:>8.3f}   {low:.3f} … {high:.3f}"
        )


if __name__ == "__main__":
    main()
