"""What it takes to step through a recording: milliseconds a step over the viewer's API, and memory.

    python -m benchmarks.replay                   a minute
    python -m benchmarks.replay --walks 3

A viewer shows one ring at a time, in a process of its own: one at detail ``teach`` of a hundred thousand steps and
more, and those of ``benchmarks.reader``, which are full. Asked of it are, in turn: the overview; the last frames, for
which all of it has to be followed (meanwhile another client asks for the list of rings, over and over, and how long it
had to wait at most is told); windows of 41 frames, a step on and a step back each time, at places all over the
recording; causes; and strips. Milliseconds are the client's, from a request to the last byte of its answer; memory is
the viewer's (``VmHWM``), which has the ring in its timeline as well, before a replay was opened and in the end.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Self

from benchmarks.reader import RINGS
from benchmarks.servers import ROOT, progress, running

_AROUND = 20  # frames before and after the one that is looked at, as the page asks for
_STEPS = 50  # of a walk, on and back again
_PATIENCE = 60.0
TEACH = """
from greenscope.runtime import joinall, sleep, socket, spawn

def serve(end):
    while data := end.recv(100):
        end.sendall(data)

def ask(end):
    for _ in range(100):
        end.sendall(b"question")
        end.recv(100)
        sleep(0)
    end.close()

pairs = [socket.socketpair() for _ in range(50)]
joinall([spawn(end, one) for pair in pairs for end, one in zip((serve, ask), pair)])
"""


def teach_ring(directory: Path) -> None:
    """A hundred greenlets', half of them asking, half of them answering, step by step."""
    told = {
        "GREENSCOPE": "1",
        "GREENSCOPE_DIR": str(directory),
        "GREENSCOPE_DETAIL": "teach",
        "GREENSCOPE_RING_MB": "32",
    }
    environment = {**os.environ, **told}
    subprocess.run([sys.executable, "-c", TEACH], cwd=ROOT, env=environment, check=True)


ALL: dict[str, Callable[[Path], None]] = {"teach, 100 greenlets": teach_ring, **RINGS}


class Viewer:
    """A viewer of one ring, and a client of it."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.process = process
        self.port = port
        self.client = HTTPConnection("127.0.0.1", port, timeout=_PATIENCE)
        self.ring = ""

    def get(self, path: str) -> tuple[Any, float]:
        """What is answered, and after how many milliseconds."""
        began = time.perf_counter()
        self.client.request("GET", path)
        response = self.client.getresponse()
        body = response.read()
        took = (time.perf_counter() - began) * 1e3
        if response.status != 200:
            raise SystemExit(f"replay: GET {path} was answered {response.status}: {body[:200].decode()}")
        return json.loads(body), took

    def replay(self, path: str = "") -> tuple[Any, float]:
        """The same of the ring's replay."""
        return self.get(f"/api/rings/{self.ring}/replay{path}")

    @property
    def peak_mib(self) -> float:
        """The most memory that it had by now."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return int(status.split("VmHWM:")[1].split()[0]) / 1024


@contextlib.contextmanager
def viewing(ring: Path) -> Iterator[Viewer]:
    """A viewer that has read its ring to the end."""
    command = [sys.executable, "-m", "greenscope", "serve", str(ring), "--port", "0"]
    with running(command, cwd=ROOT, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        found = re.search(r"http://[\w.]+:(\d+)", process.stderr.readline())
        if found is None:
            raise SystemExit("replay: the viewer did not come up")
        viewer = Viewer(process, int(found[1]))
        deadline = time.monotonic() + _PATIENCE
        while not (rings := viewer.get("/api/rings")[0]["rings"]):
            if time.monotonic() > deadline:
                raise SystemExit(f"replay: the viewer shows no ring of {ring}")
            time.sleep(0.05)
        viewer.ring = rings[0]["id"]
        until_read(viewer)
        yield viewer


def until_read(viewer: Viewer) -> None:
    """Wait until the viewer idles: it folds a ring into its timeline first."""
    before = -1.0
    while (now := cpu_of(viewer.process.pid)) - before > 0.05:
        before = now
        time.sleep(0.5)


def cpu_of(pid: int) -> float:
    return time.clock_gettime((~pid << 3) | 2)


class Others:
    """Another client, which asks something small over and over."""

    def __init__(self, viewer: Viewer) -> None:
        self.times: list[float] = []
        self._viewer = Viewer(viewer.process, viewer.port)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._ask)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _ask(self) -> None:
        while not self._stop.is_set():
            self.times.append(self._viewer.get("/api/rings")[1])
            time.sleep(0.005)


def window(viewer: Viewer, step: int) -> float:
    """Milliseconds for the frames around a step."""
    first = max(step - _AROUND, 0)
    return viewer.replay(f"/frames?from={first}&to={step + _AROUND + 1}")[1]


def measure(ring: Path, walks: int) -> dict[str, float]:
    with viewing(ring) as viewer:
        before = viewer.peak_mib
        overview, opened = viewer.replay()
        steps = int(overview["steps"])
        with Others(viewer) as others:
            last = window(viewer, steps - 1)
        places = random.Random(7).sample(range(_STEPS, steps - _STEPS), walks)
        jumps, walked = [], []
        for place in places:
            jumps.append(window(viewer, place))
            walked += [window(viewer, place + step) for step in range(1, _STEPS)]
            walked += [window(viewer, place + step) for step in range(_STEPS, -1, -1)]
        whys = [viewer.replay(f"/why?step={place}")[1] for place in places]
        strips = [viewer.replay(f"/strip?from={place}&to={min(place + 400, steps - 1)}")[1] for place in places]
        whole = viewer.replay(f"/strip?from=0&to={steps - 1}")[1]
        return {
            "steps": steps,
            "overview_ms": opened,
            "last_ms": last,
            "others_ms": max(others.times),
            "step_ms": statistics.median(walked),
            "step_p99_ms": sorted(walked)[len(walked) * 99 // 100],
            "step_longest_ms": max(walked),
            "jump_ms": statistics.median(jumps),
            "jump_longest_ms": max(jumps),
            "why_ms": statistics.median(whys),
            "strip_ms": statistics.median(strips),
            "whole_strip_ms": whole,
            "mib_before": before,
            "mib_at_most": viewer.peak_mib,
        }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.replay", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--walks", type=int, default=10, help="places from which steps are taken")
    parser.add_argument("--only", nargs="*", choices=list(ALL), help="only these rings")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    options = parser.parse_args()
    results = []
    for name in options.only or ALL:
        with tempfile.TemporaryDirectory() as directory:
            progress(f"{name}: the ring is being filled")
            ALL[name](Path(directory))
            (ring,) = Path(directory).glob("*.gsr")
            progress(f"{name}: steps")
            results.append({"ring": name, **measure(ring, options.walks)})
    progress("")
    if options.json:
        print(json.dumps({"python": sys.version.split()[0], "results": results}, indent=2))
        return
    print(f"stepping through recordings over the viewer's API, milliseconds, Python {sys.version.split()[0]}")
    names = [key for key in results[0] if key != "ring"]
    print(f"{'':18}" + "".join(f"{row['ring']:>24}" for row in results))
    for key in names:
        print(f"{key.replace('_', ' '):18}" + "".join(f"{row[key]:>24,.1f}" for row in results))


if __name__ == "__main__":
    main()
