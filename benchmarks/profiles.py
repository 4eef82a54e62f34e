"""What a profile of ten million events takes: processor time and memory, by each way of summing up.

    python -m benchmarks.profiles                 some three minutes
    python -m benchmarks.profiles --millions 1

The rings are those of ``benchmarks.reader``: an echo server's, and one of greenlets that wait once and end. Their
events go through one timeline again and again, later each time, and of other greenlets where they are short, until
so many have, and a profile hears what ends, in a process of its own for each way. Beside it stands the same without
a profile; the peak is the kernel's (``ru_maxrss``).
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.reader import OLD_GREENLETS, RINGS
from benchmarks.servers import ROOT, progress
from greenscope.trace.analysis import Timeline
from greenscope.trace.analysis.profile import By, Profile
from greenscope.trace.analysis.profile_rows import rows_of
from greenscope.trace.reader import RingReader
from greenscope.trace.records import Batch

_NONE = "none"


def profile_many(path: Path, events: int, by: str) -> dict[str, float]:
    """Fold a ring's events over and over, each time as if they had happened after those before, and profile them."""
    names = RingReader(path)
    start = names.info.start_monotonic_ns
    timeline = Timeline(0, names.string)
    profile = Profile(By(by), names) if by != _NONE else None
    if profile is not None:
        timeline.listeners.append(lambda spans: profile.add(spans, timeline))
    began = time.process_time()
    passed = newest = turn = 0
    while timeline.events < events:
        reader = RingReader(path)
        while batch := reader.read_batch():
            rows = batch.events.copy()
            rows["time_ns"] += np.uint64(passed)
            rows["time_ns"] -= np.uint64(start)
            newest = int(rows["time_ns"].max())
            rows["greenlet"][rows["greenlet"] > OLD_GREENLETS] += np.uint64(turn * 1_000_000)
            timeline.apply(Batch(batch.lost, rows, batch.texts))
        reader.close()
        passed, turn = newest, turn + 1
    shown = 0
    if profile is not None:
        profile.finish(timeline, timeline.last)
        shown = len(rows_of(profile, names))
    used = time.process_time() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"events": timeline.events, "cpu": used, "peak_mib": peak / 1024, "rows": shown}


def measure(path: Path, millions: float, by: str) -> dict[str, float]:
    """What a process of its own measures."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.profiles",
        "--ring",
        str(path),
        "--by",
        by,
        "--millions",
        str(millions),
    ]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    result: dict[str, float] = json.loads(done.stdout)
    return result


def run(options: argparse.Namespace) -> list[dict[str, Any]]:
    results = []
    for name, make in RINGS.items():
        with tempfile.TemporaryDirectory() as directory:
            progress(f"{name}: the ring is being filled")
            make(Path(directory))
            (path,) = Path(directory).glob("*.gsr")
            for by in options.by or [_NONE, *map(str, By)]:
                progress(f"{name}: {by}")
                results.append({"ring": name, "by": by, **measure(path, options.millions, by)})
    progress("")
    return results


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profiles", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--millions", type=float, default=10, help="events")
    parser.add_argument("--by", nargs="*", choices=[_NONE, *map(str, By)], help="only these ways")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    parser.add_argument("--ring", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.ring:
        print(json.dumps(profile_many(options.ring, int(options.millions * 1_000_000), options.by[0])))
        return
    results = run(options)
    if options.json:
        print(json.dumps({"python": sys.version.split()[0], "results": results}, indent=2))
        return
    print(f"a profile of {options.millions:g} million events, Python {sys.version.split()[0]}")
    print(f"{'ring':22}{'by':>10}{'CPU s':>8}{'MiB at most':>13}{'rows':>8}")
    for row in results:
        print(f"{row['ring']:22}{row['by']:>10}{row['cpu']:>8.1f}{row['peak_mib']:>13.0f}{row['rows']:>8,.0f}")


if __name__ == "__main__":
    main()
