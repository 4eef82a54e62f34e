"""Nanoseconds an event costs its program: the C ring, its Python twin, and the recorder that is off.

    python -m benchmarks.ring_write

Each event is timed as the runtime calls it, a method call from Python with its arguments, on a real
ring file of the default size, which wraps many times over. The loop around it is not taken off: it is
some 10 ns of the figures. *One wait* is what a `recv` that has to wait records, eight events in six
calls. The best of the repeats is printed, because everything that disturbs a tight loop makes it slower.

No event can cost less than a call of a C function that reads the clock: `time.monotonic_ns()` is one that
does nothing else, timed in the same loop. The last column is what an event costs in terms of it.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import tempfile
import time
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
EVENTS = {"watcher_start + park": 2, "watcher_fire + ready": 2, ONE_WAIT: 8}


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
        if not isinstance(ring, Recorder):  # which has closed its file
            file.close()
            ring.detach()  # the file cannot be unmapped while the ring holds on to it
        del ring
        file.release()
    return results


def clock_call(number: int, repeats: int) -> float:
    """Nanoseconds of a call of a C function that reads the clock and does nothing else."""
    return min(timeit.repeat("now()", globals={"now": time.monotonic_ns}, number=number, repeat=repeats)) / number * 1e9


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
    floor = clock_call(options.number, options.repeats)
    best = results.get("C", results["Python"])
    ratios = {name: nanoseconds / EVENTS.get(name, 1) / floor for name, nanoseconds in best.items()}
    if options.json:
        said = {
            "python": sys.version.split()[0],
            "nanoseconds": results,
            "clock_call_nanoseconds": floor,
            "event_to_clock_call": ratios,
        }
        print(json.dumps(said, indent=2))
        return
    print(f"nanoseconds an event, Python {sys.version.split()[0]}")
    print(f"{'':22}" + "".join(f"{writer:>10}" for writer in writers) + "   an event ÷ a call that reads the clock")
    for name, ratio in ratios.items():
        print(f"{name:22}" + "".join(f"{results[writer][name]:>10.0f}" for writer in writers) + f"{ratio:>10.2f}")
    print(f"{'time.monotonic_ns()':22}{floor:>10.0f}")


if __name__ == "__main__":
    main()
