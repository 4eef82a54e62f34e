"""Nanoseconds an event costs its program: the C ring, its Python twin, and the recorder that is off.

    python -m benchmarks.ring_write

Each event is timed as the runtime calls it, a method call from Python with its arguments, on a real
ring file of the default size, which wraps many times over. The loop around it is not taken off: it is
some 10 ns of the figures. *One wait* is what a `recv` that has to wait records, eight events in six
calls. The best of the repeats is printed, because everything that disturbs a tight loop makes it slower.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import tempfile
import timeit
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from greenscope.trace import ring_file
from greenscope.trace.events import Ready, Spawn, Timeouts, Wait, Watch
from greenscope.trace.recorder import Recorder
from greenscope.trace.ring_python import Ring as PythonRing

try:
    CRing: Any = importlib.import_module("greenscope.trace._ring").Ring
except ImportError:  # no compiler here: the twin is measured alone
    CRing = None

FD = 7
ONE_WAIT = "one wait (8 events)"


def calls(ring: Any) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Name, statement and names of what is timed, on a ring with a hub and a greenlet that runs."""
    name = ring.string("worker")
    hub = ring.spawn(Spawn.HUB, name, 0, 0)
    greenlet = ring.spawn(Spawn.MAIN, name, 0, hub)
    ring.switch(greenlet)
    watcher = ring.watcher_open(Watch.READ, FD, b"127.0.0.1:8000")
    values = {
        "ring": ring,
        "greenlet": greenlet,
        "watcher": watcher,
        "READ": int(Watch.READ),
        "LOCK": int(Wait.LOCK),
        "GREENLET": int(Ready.GREENLET),
        "SOCKET": int(Timeouts.SOCKET),
        "peer": b"127.0.0.1:8000",
    }
    statements = {
        "watcher_start + park": f"ring.wait(READ, watcher, {FD}, 0, peer)",
        "poll_begin": "ring.poll_begin(1)",
        "poll_end": "ring.poll_end(1)",
        "watcher_fire + ready": f"ring.fire(greenlet, READ, watcher, {FD})",
        "switch": "ring.switch(greenlet)",
        "watcher_stop": f"ring.watcher_stop(READ, watcher, {FD})",
    }
    for event, statement in statements.items():
        yield event, statement, values
    yield ONE_WAIT, "; ".join(statements.values()), values
    yield "park", "ring.park(LOCK, watcher, -1, 0, peer)", values
    yield "ready", "ring.ready(greenlet, GREENLET, greenlet)", values
    yield "timeout_start", "ring.timeout_start(SOCKET, 1000)", values
    yield "timeout_cancel", "ring.timeout_cancel(SOCKET, 1)", values


def measure(make: Callable[[ring_file.RingFile], Any], number: int, repeats: int) -> dict[str, float]:
    """Nanoseconds of each call."""
    with tempfile.TemporaryDirectory() as directory:
        file = ring_file.create(Path(directory) / "benchmark.gsr", 1, "MainThread", ring_file.RingSizes())
        ring = make(file)
        results = {
            name: min(timeit.repeat(statement, globals=values, number=number, repeat=repeats)) / number * 1e9
            for name, statement, values in calls(ring)
        }
        file.close()
        if hasattr(ring, "detach"):
            ring.detach()  # the file cannot be unmapped while the ring holds on to it
        del ring
        file.release()
    return results


def closed(file: ring_file.RingFile) -> Recorder:
    """What a hub gets with GREENSCOPE=0: a recorder that is closed from the beginning."""
    recorder = Recorder(file)
    recorder.close()
    return recorder


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.ring_write", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--number", type=int, default=200_000, help="calls a repeat")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    options = parser.parse_args()

    writers: dict[str, Callable[[ring_file.RingFile], Any]] = {}
    if CRing is not None:
        writers["C"] = lambda file: CRing(memoryview(file.memory), (), (), file.lock)
    writers["Python"] = lambda file: PythonRing(memoryview(file.memory), (), (), file.lock)
    writers["off"] = closed
    results = {
        writer: measure(make, max(1, options.number // (20 if writer == "Python" else 1)), options.repeats)
        for writer, make in writers.items()
    }
    if options.json:
        print(json.dumps({"python": sys.version.split()[0], "nanoseconds": results}, indent=2))
        return
    print(f"nanoseconds an event, Python {sys.version.split()[0]}")
    print(f"{'':22}" + "".join(f"{writer:>10}" for writer in writers))
    for name in next(iter(results.values())):
        print(f"{name:22}" + "".join(f"{results[writer][name]:>10.0f}" for writer in writers))


if __name__ == "__main__":
    main()
