"""What recording costs a server: processor time of a request, traced ÷ untraced.

    python -m benchmarks.tracing                          50 and 500 connections; ten minutes
    python -m benchmarks.tracing --work echo --traced GREENSCOPE_DETAIL=io    another traced run, by its environment

An echo server is the worst case: a request is some microseconds of work and six events. A page that reads
twice from redis, with redis-py, is what a service does. Both servers live side by side, each with its own
client (``echo_client.c``, wrk) and its own connections, and take turns of some tens of milliseconds, so
that a machine that slows down slows both; whoever has no turn is idle, and its wrk is stopped.

Two processes of one program differ too: by where the loader put what, by the hashes of the day, by the
rhythm they fall into with their clients; a page by 5 %, which is more than is to be measured. So there are
many pairs of fresh processes. Printed is the median of the pairs' ratios (of a pair, the median of its
turns' ratios), its standard error, and the quarter of the pairs below and above. Compare
``--traced GREENSCOPE=0``, which should give 1.

The untraced server runs with GREENSCOPE=0: what it is compared with has no recording at all. A ring that
is written for the first time is also mapped page by page, which is over after a million events, some
seconds of a service's life; so rings are filled once before the first turn: the echo server's with
requests, the page's with marks. ``--fresh`` leaves that out.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from operator import truediv
from pathlib import Path
from typing import Any

from benchmarks.echo import compile_client, tell
from benchmarks.servers import ROOT, cpu_seconds, line_of, processors, progress, running

_EVENTS_A_REQUEST = 6
_EVENTS_A_MARK = 2
_RING_EVENTS = 1 << 20
_PAGE_SECONDS = 0.1
_PATIENCE = 10


class Turns:
    """One server's turns.

    Args:
        pid: the server's.
        serve: has it serve for a turn; how many requests.
    """

    def __init__(self, pid: int, serve: Callable[[], int]) -> None:
        self._pid = pid
        self._serve = serve
        self.requests = 0

    def turn(self) -> float:
        """One turn: microseconds of CPU a request."""
        before = cpu_seconds(self._pid)
        requests = self._serve()
        self.requests += requests
        return (cpu_seconds(self._pid) - before) / requests * 1e6


@contextmanager
def echo(environment: dict[str, str], connections: int, options: argparse.Namespace) -> Iterator[Turns]:
    """An echo server and its client."""
    with _server(["benchmarks.echo", "--serve", "greenscope"], environment) as (server, port):
        numbers = map(str, (port, connections, options.requests, options.size))
        with running([str(options.client), *numbers]) as load:
            _bind(load.pid)
            line_of(load, "the client")

            def serve() -> int:
                tell(load)
                line_of(load, "the client")
                return int(options.requests)

            yield Turns(server.pid, serve)


@contextmanager
def page(environment: dict[str, str], connections: int, options: argparse.Namespace) -> Iterator[Turns]:
    """A WSGI server whose page reads from redis, and a wrk that is stopped between the turns."""
    import redis

    database = next(_databases)
    store: Any = redis.Redis(unix_socket_path=str(options.redis), db=database)

    def visits() -> int:
        return int(store.get("visits") or 0)

    command = ["benchmarks.tracing", "--serve-page", str(options.redis), str(database)]
    with _server(command + ["--fresh"] * options.fresh, environment) as (server, port):
        # What was sent before a stop is answered in it, and stays with the kernel: that is no timeout.
        times = ["-d1h", "--timeout", "10s"]
        with running(["wrk", "-t1", f"-c{connections}", *times, f"http://127.0.0.1:{port}/"]) as load:
            _bind(load.pid)

            def serve() -> int:
                before = visits()
                if load.poll() is not None:
                    raise SystemExit(f"tracing: wrk ended with {load.returncode} (its message is above)")
                load.send_signal(signal.SIGCONT)
                by = time.monotonic() + _PATIENCE
                time.sleep(_PAGE_SECONDS)
                while (seen := visits()) == before and time.monotonic() < by:
                    time.sleep(0.01)
                load.send_signal(signal.SIGSTOP)
                while True:  # the last answers
                    time.sleep(0.005)
                    if (now := visits()) == seen:
                        break
                    seen = now
                if seen == before:
                    raise SystemExit(f"tracing: the page was not served once in {_PATIENCE} s")
                return seen - before

            while load.poll() is None and not visits():  # its modules are imported, its pool is made
                time.sleep(0.01)
            serve()  # and wrk is stopped
            yield Turns(server.pid, serve)


_databases = itertools.cycle(range(16))  # of redis; each server counts in its own


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


def serve_page(redis_socket: str, database: int, cpu: int, fresh: bool) -> None:
    """Serve a page with a counter and a value from redis on a free port, say which, and go on until killed.

    Args:
        redis_socket: where redis listens.
        database: which of redis's databases.
        cpu: the processor to run on; -1: any.
        fresh: leave the ring empty, which else is filled once.
    """
    if cpu >= 0:
        os.sched_setaffinity(0, {cpu})
    from greenscope.runtime import monkey

    monkey.patch_all()
    import redis

    from greenscope.runtime.wsgi import WSGIServer
    from greenscope.trace import mark

    store: Any = redis.Redis(unix_socket_path=redis_socket, db=database)
    store.set("greeting", "Hello, world")
    store.delete("visits")

    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:  # noqa: ARG001
        body = b"%s, for the %dth time\n" % (store.get("greeting"), store.incr("visits"))
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
        return [body]

    server = WSGIServer(("127.0.0.1", 0), application, log=None)
    server.start()
    for _ in range(0 if fresh else _RING_EVENTS // _EVENTS_A_MARK):
        mark("fill")
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


def compare_pair(work: str, connections: int, number: int, options: argparse.Namespace) -> list[tuple[float, float]]:
    """The costs of a fresh pair of servers in turns, traced and untraced; the ``number``-th pair."""
    environments: list[dict[str, str]] = [{"GREENSCOPE": "0"}, options.traced]
    with ExitStack() as stack:
        # Who begins changes from pair to pair, so that it is not always the same who finds caches and memory clean.
        first, second = (
            stack.enter_context(WORKS[work](environment, connections, options))
            for environment in (environments if number % 2 else reversed(environments))
        )
        untraced, traced = (first, second) if number % 2 else (second, first)
        while not options.fresh and work == "echo" and traced.requests * _EVENTS_A_REQUEST < _RING_EVENTS:
            traced.turn()
        costs = [{server: server.turn() for server in (first, second)} for _ in range(options.turns)]
    return [(cost[traced], cost[untraced]) for cost in costs]


def compare(work: str, connections: int, options: argparse.Namespace) -> dict[str, Any]:
    costs, ratios = [], []
    for number in range(options.pairs):
        progress(f"{work}, {connections} connections: pair {number + 1} of {options.pairs}")
        pair = compare_pair(work, connections, number, options)
        costs += pair
        ratios.append(statistics.median(truediv(*cost) for cost in pair))
    progress("")
    low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return {
        "work": work,
        "connections": connections,
        "traced_us": round(statistics.median(traced for traced, _ in costs), 3),
        "untraced_us": round(statistics.median(untraced for _, untraced in costs), 3),
        "ratio": round(middle, 4),
        "ratio_quartiles": [round(low, 3), round(high, 3)],
        # The standard error of a median, by the quartiles, which do not mind a pair that was disturbed.
        "ratio_error": round(0.93 * (high - low) / math.sqrt(len(ratios)), 4),
    }


def assignment(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tracing", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--work", nargs="+", choices=WORKS, default=list(WORKS), metavar="WORK")
    parser.add_argument("--pairs", type=int, default=40, help="pairs of servers, one after the other")
    parser.add_argument("--turns", type=int, default=9, help="of each server of a pair")
    parser.add_argument("--requests", type=int, default=5000, help="a turn of the echo server")
    parser.add_argument("--connections", type=int, nargs="+", default=[50, 500])
    parser.add_argument("--size", type=int, default=128, help="bytes a request of the echo server")
    parser.add_argument("--traced", type=assignment, action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--fresh", action="store_true", help="measure the ring's first round too")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    parser.add_argument("--serve-page", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--cpu", type=int, default=-1, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve_page:
        serve_page(options.serve_page[0], int(options.serve_page[1]), options.cpu, options.fresh)
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
        results = [compare(work, connections, options) for work in options.work for connections in options.connections]
    if options.json:
        print(json.dumps({"python": sys.version.split()[0], "results": results}, indent=2))
        return
    print(
        f"CPU microseconds a request, traced ÷ untraced: the median of {options.pairs} pairs of servers, each pair"
        f" {options.turns} turns of\n{options.requests} requests of {options.size} bytes, or of {_PAGE_SECONDS} seconds"
        f" of the page; Python {sys.version.split()[0]}"
    )
    print(f"{'':6}{'connections':>11}{'untraced µs':>13}{'traced µs':>11}{'ratio':>8}{'±':>7}   quartiles of pairs")
    for row in results:
        low, high = row["ratio_quartiles"]
        print(
            f"{row['work']:6}{row['connections']:>11}{row['untraced_us']:>13.2f}{row['traced_us']:>11.2f}"
            f"{row['ratio']:>8.3f}{row['ratio_error']:>7.3f}   {low:.3f} … {high:.3f}"
        )


if __name__ == "__main__":
    main()
