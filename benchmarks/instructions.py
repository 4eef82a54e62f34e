"""Instructions of a request, traced and untraced, by function: what a busy machine does not change.

    python -m benchmarks.instructions                               a page that reads from redis, as in tracing.py
    python -m benchmarks.instructions --traced GREENSCOPE_DETAIL=io
    python -m benchmarks.instructions --caches              and what has to be fetched for them, in lines of a cache

valgrind counts what the server executes outside of the kernel, to some ten instructions a request, where processor
time differs by percents from one pair of processes to the next; so it shows what a change of the code does, and where
what recording adds is spent. It is not time: an instruction of code that is rarely run waits for memory more than
others do, and neither the kernel nor the clock (``rdtsc``) is counted by what it takes. The claim about time is
``tracing.py``'s. With ``--caches`` valgrind plays the caches of a core of 2023, too, and says what is fetched from the
second to the first, instructions and data: a record is run so rarely that nearly all of it is.

So that a request is always the same, all connections send one, then wait for all the answers; and between
the page and redis is a relay that answers when nobody has asked for a while, so that each answer is waited for.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from pathlib import Path

from benchmarks.servers import ROOT, line_of, running
from benchmarks.tracing import assignment, redis_server

_QUIET = 0.01
_PATIENCE = 60
_CACHES = ["--cache-sim=yes", "--I1=65536,16,64", "--D1=49152,12,64"]
# What is counted, by valgrind's names of its columns.
_INSTRUCTIONS, _CODE, _DATA = ("Ir",), ("I1mr",), ("D1mr", "D1mw")


class Relay(threading.Thread):
    """Passes on to redis what its clients have sent once they are quiet, and then its answers."""

    def __init__(self, path: Path, redis: Path) -> None:
        super().__init__(daemon=True)
        self._redis = str(redis)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(1024)

    def run(self) -> None:
        others: dict[socket.socket, socket.socket] = {}
        asked: dict[socket.socket, bytes] = {}
        while True:
            ready, _, _ = select.select([self._listener, *others], [], [], _QUIET if asked else None)
            for one in ready:
                if one is self._listener:
                    client, other = one.accept()[0], socket.socket(socket.AF_UNIX)
                    other.connect(self._redis)
                    others[client] = other
                elif data := one.recv(1 << 16):
                    asked[one] = asked.get(one, b"") + data
                else:
                    others.pop(one).close()
                    one.close()
            if not ready:
                for one, data in asked.items():
                    others[one].sendall(data)
                for one in asked:
                    one.sendall(others[one].recv(1 << 16))
                asked.clear()


def count(environment: dict[str, str], redis: Path, options: argparse.Namespace) -> dict[str, Counter[str]]:
    """A request's instructions, and what is fetched for them, by valgrind's column and by function."""
    with tempfile.TemporaryDirectory() as name:
        counts = Path(name, "counts")
        Relay(Path(name, "relay.sock"), redis).start()
        valgrind = ["valgrind", "--tool=callgrind", "--instr-atstart=no", "-q", f"--callgrind-out-file={counts}"]
        valgrind += _CACHES * options.caches
        page = [sys.executable, "-m", "benchmarks.tracing", "--serve-page", f"{name}/relay.sock", "0", "--fresh"]
        own = {"GREENSCOPE_DIR": f"{name}/traces", "PYTHONHASHSEED": "0", **environment}
        with running([*valgrind, *page], cwd=ROOT, env={**os.environ, **own}) as server:
            port = int(line_of(server, "the server"))
            connections = [socket.create_connection(("127.0.0.1", port), _PATIENCE) for _ in range(options.connections)]
            rounds = -(-options.requests // options.connections)
            ask(connections, 10)
            for command in ("-i", "on"), ("-i", "off"), ("-d",):
                if command == ("-i", "off"):
                    ask(connections, rounds)
                subprocess.run(["callgrind_control", *command, str(server.pid)], capture_output=True, check=True)
            for connection in connections:
                connection.close()
        totals = read(counts.with_name("counts.1"))
    requests = rounds * options.connections
    return {
        column: Counter({function: number / requests for function, number in counter.items()})
        for column, counter in totals.items()
    }


def ask(connections: list[socket.socket], rounds: int) -> None:
    for _ in range(rounds):
        for connection in connections:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        for connection in connections:
            answer = b""
            while not answer.endswith(b"time\n"):
                piece = connection.recv(1 << 16)
                if not piece:
                    raise SystemExit(f"instructions: the page answered {answer!r}, and closed")
                answer += piece


def read(path: Path) -> dict[str, Counter[str]]:
    """What each function took itself: callgrind's format, whose lines after ``calls=`` are of what it called."""
    names: dict[str, str] = {}
    totals: dict[str, Counter[str]] = {}
    function, called = "", False
    for line in path.read_text().splitlines():
        named = re.match(r"c?fn=(\(\d+\))(?: (.*))?", line)
        if named:
            if named[2]:
                names[named[1]] = re.sub(r"'\d+$", "", named[2])
            if line[0] != "c":
                function = names[named[1]]
        elif line.startswith("calls="):
            called = True
        elif line.startswith("events:"):
            totals = {column: Counter() for column in line.split()[1:]}
        elif re.match(r"[-+*\d]\S*( \d+)+$", line):
            if not called:  # columns that are 0 to the end are left out
                for counter, number in zip(totals.values(), line.split()[1:], strict=False):
                    counter[function] += int(number)
            called = False
    return totals


def report(
    what: str, columns: tuple[str, ...], untraced: dict[str, Counter[str]], traced: dict[str, Counter[str]], most: int
) -> None:
    """Print a total of both, and the functions that differ most."""
    before, after = (sum((one[column] for column in columns), Counter[str]()) for one in (untraced, traced))
    total = before.total()
    print(f"{what} a request: untraced {total:,.0f}, traced {after.total():,.0f}, {after.total() / total:.4f} of that")
    for function in sorted(before | after, key=lambda one: -abs(after[one] - before[one]))[:most]:
        print(f"{after[function] - before[function]:+9.0f} {before[function]:9.0f}  {function}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--connections", type=int, default=50)
    parser.add_argument("--functions", type=int, default=20, help="how many to print, of those that differ most")
    parser.add_argument("--traced", type=assignment, action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--caches", action="store_true", help="count what is fetched, too; three minutes")
    parser.add_argument("--json", action="store_true", help="print the counts as JSON")
    options = parser.parse_args()
    for program in ("valgrind", "redis-server"):
        if shutil.which(program) is None:
            parser.error(f"it needs {program}: apt-get install valgrind redis-server")
    with tempfile.TemporaryDirectory() as name, redis_server(Path(name)) as redis:
        untraced, traced = (
            count(environment, redis, options) for environment in ({"GREENSCOPE": "0"}, dict(options.traced))
        )
    if options.json:
        print(json.dumps({"untraced": untraced, "traced": traced}, indent=2))
        return
    report("instructions", _INSTRUCTIONS, untraced, traced, options.functions)
    if options.caches:
        report("lines of code fetched", _CODE, untraced, traced, options.functions)
        report("lines of data fetched", _DATA, untraced, traced, options.functions)


if __name__ == "__main__":
    main()
