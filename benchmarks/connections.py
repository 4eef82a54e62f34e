"""Memory of a connection that is held open, ten thousand of them in one process: greenscope and gevent.

    python -m benchmarks.connections                        10,000 connections, a minute
    python -m benchmarks.connections --connections 1000 --json

Each server is a process of its own, an echo server with a greenlet a connection; this process is the
client, with plain sockets. It opens the connections and has each answer once, so that every handler waits
in its second read; asks the server for its memory (what it holds alone, ``Pss`` in the kernel's
``smaps_rollup``, and ``Rss``); then sends on all of them before it reads from any; and closes them all.
The bytes a connection are the difference to before, divided; what is traced includes the recording.

At the end the server counts its descriptors and its greenlets again: as many must be left as there were
before, and the benchmark fails if there are more. The kernel's own memory of a connection is not counted.

Both processes need a descriptor a connection. Where the limit does not allow that, and cannot be raised,
there are fewer connections, and the output says so. Linux only, for its ``/proc`` and 127.0.0.0/8.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import resource
import socket
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.echo import handle
from benchmarks.servers import BASELINE, ROOT, SERVERS, line_of, running

SPARE = 100  # descriptors for everything else
A_SOURCE = 5_000  # connections from one address: fewer than it has ports
IP_BIND_ADDRESS_NO_PORT = 24  # linux/in.h; Python has no name for it before 3.12
PATIENCE = 60.0
WARM = 50


# The server


def serve(kind: str) -> None:
    """Echo on one port, count on another; say which on stdout."""
    server: Any
    if kind == "gevent":
        from gevent.server import StreamServer as GeventServer

        server_class: Any = GeventServer
    else:
        from greenscope.runtime.server import StreamServer

        server_class = StreamServer

    def count(connection: Any, address: object) -> None:  # noqa: ARG001  (the servers' signature)
        while connection.recv(1):
            connection.sendall(json.dumps(census()).encode() + b"\n")

    server, counter = server_class(("127.0.0.1", 0), handle), server_class(("127.0.0.1", 0), count)
    counter.start()
    server.start()
    print(server.server_port, counter.server_port, flush=True)
    server.serve_forever()


def census() -> dict[str, int]:
    """This process's bytes, descriptors and living greenlets."""
    from greenlet import greenlet

    gc.collect()
    kilobytes = {}
    for line in Path("/proc/self/smaps_rollup").read_text(encoding="ascii").splitlines()[1:]:
        name, _, rest = line.partition(":")
        kilobytes[name] = int(rest.split()[0])
    return {
        "pss": kilobytes["Pss"] * 1024,
        "rss": kilobytes["Rss"] * 1024,
        "descriptors": len(os.listdir("/proc/self/fd")),  # noqa: PTH208  (a count, not paths)
        "greenlets": sum(isinstance(one, greenlet) and not one.dead for one in gc.get_objects()),
    }


# The client


def allow(connections: int) -> int:
    """Raise this process's limit of descriptors, which its children inherit; how many connections that allows."""
    wanted = connections + SPARE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        for limit in ((wanted, max(hard, wanted)), (hard, hard)):
            try:
                resource.setrlimit(resource.RLIMIT_NOFILE, limit)
                break
            except (ValueError, OSError):
                continue
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return connections if soft == resource.RLIM_INFINITY else min(connections, soft - SPARE)


def connect(port: int, number: int) -> socket.socket:
    """One of many connections, from an address that still has ports."""
    connection = socket.socket()
    connection.settimeout(PATIENCE)
    # The port is chosen when it connects: then only the whole of both addresses must not be in use.
    connection.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
    connection.bind((f"127.0.0.{2 + number // A_SOURCE}", 0))
    connection.connect(("127.0.0.1", port))
    return connection


def ask(connection: socket.socket, byte: bytes) -> None:
    connection.sendall(byte)
    check(connection, byte)


def check(connection: socket.socket, byte: bytes) -> None:
    answer = connection.recv(10)
    if answer != byte:
        raise SystemExit(f"connections: the server answered {answer!r} to {byte!r}")


def measure(name: str, connections: int) -> dict[str, Any]:
    """What one server needs for so many connections."""
    kind, environment = SERVERS[name]
    command = [sys.executable, "-m", "benchmarks.connections", "--serve", kind]
    with (
        tempfile.TemporaryDirectory() as traces,
        running(command, cwd=ROOT, env={**os.environ, "GREENSCOPE_DIR": traces, **environment}) as server,
    ):
        port, counting_port = map(int, line_of(server, name).split())
        counter = socket.create_connection(("127.0.0.1", counting_port), PATIENCE)
        answers = counter.makefile()

        def count() -> dict[str, int]:
            counter.sendall(b"?")
            counted: dict[str, int] = json.loads(answers.readline())
            return counted

        def settled(wanted: dict[str, int]) -> dict[str, int]:
            end = time.monotonic() + PATIENCE
            while True:  # until the server has read the end of every connection
                counted = count()
                if all(counted[what] <= wanted[what] for what in ("descriptors", "greenlets")):
                    return counted
                if time.monotonic() > end:
                    raise SystemExit(f"connections: {name} has {counted} left, and had {wanted} before")

        count()
        start = count()
        for connection in [connect(port, 0) for _ in range(WARM)]:
            with connection:
                ask(connection, b"w")
        before = settled(start)
        began = time.monotonic()
        held = []
        for number in range(connections):
            connection = connect(port, number)
            ask(connection, b"1")
            held.append(connection)
        opened = time.monotonic()
        during = count()
        using = time.monotonic()
        for connection in held:
            connection.sendall(b"2")
        for connection in held:
            check(connection, b"2")
        used = time.monotonic()
        after = count()
        for connection in held:
            connection.close()
        left = settled(before)
        counter.close()
    return {
        "server": name,
        "connections": connections,
        "pss_bytes_per_connection": round((during["pss"] - before["pss"]) / connections),
        "rss_bytes_per_connection": round((during["rss"] - before["rss"]) / connections),
        "pss_bytes_per_connection_after_use": round((after["pss"] - before["pss"]) / connections),
        "descriptors": during["descriptors"] - before["descriptors"],
        "greenlets": during["greenlets"] - before["greenlets"],
        "descriptors_left": left["descriptors"] - before["descriptors"],
        "greenlets_left": left["greenlets"] - before["greenlets"],
        "seconds_to_open": round(opened - began, 3),
        "seconds_to_use": round(used - using, 3),
    }


def run(servers: list[str], connections: int) -> list[dict[str, Any]]:
    results = [measure(name, connections) for name in servers]
    base = next((row["pss_bytes_per_connection"] for row in results if row["server"] == BASELINE), None)
    for row in results:
        row[f"ratio_to_{BASELINE}"] = round(row["pss_bytes_per_connection"] / base, 3) if base else None
    return results


def report(results: list[dict[str, Any]], wanted: int) -> None:
    connections = results[0]["connections"]
    print(f"{connections} connections held open, then all used at once; Python {sys.version.split()[0]}")
    if connections < wanted:
        print(f"NOT the {wanted} asked for: the limit of descriptors (ulimit -Hn) does not allow more")
    print(
        f"{'server':22}{'bytes each':>12}{'÷ ' + BASELINE:>10}{'after use':>11}{'s to use':>10}   left: fds, greenlets"
    )
    for row in results:
        ratio = row[f"ratio_to_{BASELINE}"]
        ratio = "" if ratio is None else format(ratio, ".2f")
        print(
            f"{row['server']:22}{row['pss_bytes_per_connection']:>12}{ratio:>10}"
            f"{row['pss_bytes_per_connection_after_use']:>11}{row['seconds_to_use']:>10.2f}"
            f"   {row['descriptors_left']}, {row['greenlets_left']}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.connections", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--servers", nargs="+", choices=SERVERS, default=list(SERVERS), metavar="NAME")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve)
        return
    if sys.platform != "linux":
        parser.error("it reads Linux's /proc")
    if options.connections < 1:
        parser.error("--connections is 1 or more")
    allowed = allow(options.connections)
    if allowed < 1:
        parser.error("the limit of descriptors (ulimit -n) does not even allow one connection")
    results = run(options.servers, allowed)
    if options.json:
        python = sys.version.split()[0]
        print(json.dumps({"python": python, "asked_for": options.connections, "results": results}, indent=2))
    else:
        report(results, options.connections)


if __name__ == "__main__":
    main()
