"""How soon a finding is told, and what ten million events cost to diagnose.

    python -m benchmarks.diagnose                 two minutes
    python -m benchmarks.diagnose --only spin --millions 1

Each program of the zoo (``tests/diagnosis/zoo``) runs, and its ring is looked at as a viewer does it, every
20 ms. Printed is how long after it could be told at the earliest it was told: after ``since`` and the
threshold, where the diagnosis has one that is a time. For the others (so many a second) it is the time since
the program began to record, which contains what it does before anything is wrong.

For the cost, an echo server with 50 connections fills a ring that is large enough for so many events, and
a process of its own diagnoses it: the median of the rounds' processor time, and the kernel's peak of memory.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.echo import compile_client, tell
from benchmarks.servers import ROOT, line_of, progress, running
from greenscope.trace.analysis.diagnoses import Finding
from greenscope.trace.examination import Examination, monotonic_ns
from tests.diagnosis.programs import Program, programs, ring_of, until

_EVERY_SECONDS = 0.02
_EVENTS_A_REQUEST = 4
_WAITS = {
    "hub-blocked": "stall_ms",
    "blocking-call": "stall_ms",
    "wait-no-deadline": "wait_ms",
    "deadlock": "deadlock_ms",
    "orphan-wait": "orphan_ms",
    "lost-wakeup": "lost_ms",
    "starved": "starved_ms",
}
"""The threshold after which a finding can be told, of those where that is a time since it began."""


def lateness(program: Program) -> dict[str, Any]:
    """Run one, and see when it is told."""
    with tempfile.TemporaryDirectory() as name, program.running(Path(name) / "rings") as process:
        examination = Examination(ring_of(Path(name) / "rings", process), program.thresholds)

        def look() -> list[Finding]:
            time.sleep(_EVERY_SECONDS)
            return [finding for finding in examination.findings() if finding.id == program.finding]

        (finding, *_) = until(look, process)
        now = monotonic_ns()
        examination.close()
    threshold = _WAITS.get(program.finding)
    waited = getattr(program.thresholds, threshold) * 1_000_000 if threshold is not None else 0
    earliest = finding.since + waited if threshold is not None else examination.info.start_monotonic_ns
    return {
        "program": program.name,
        "threshold": threshold,
        "after_ms": (now - earliest) / 1e6,
    }


def fill(directory: Path, millions: float) -> Path:
    """A ring of so many events, full."""
    mebibytes = int(millions * 32_000_000) // (1 << 20) + 1
    environment = {
        **os.environ,
        "GREENSCOPE": "1",
        "GREENSCOPE_DIR": str(directory),
        "GREENSCOPE_RING_MB": str(mebibytes),
    }
    client = compile_client(directory)
    with running(
        [sys.executable, "-m", "benchmarks.echo", "--serve", "greenscope"], cwd=ROOT, env=environment
    ) as server:
        port = line_of(server, "the server")
        requests = int(millions * 1_100_000) // _EVENTS_A_REQUEST
        with running([str(client), port, "50", str(requests), "128"]) as load:
            line_of(load, "the client")
            tell(load)
            line_of(load, "the client")
    (path,) = directory.glob("*.gsr")
    return path


def cost(path: Path) -> dict[str, float]:
    """Diagnose a ring, here."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    used = time.process_time()
    examination = Examination(path)
    found = len(examination.findings())
    used = time.process_time() - used
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "events": examination.timeline.events,
        "cpu": used,
        "before_mib": before / 1024,
        "peak_mib": peak / 1024,
        "found": found,
    }


def costs(millions: float, rounds: int) -> dict[str, float]:
    """The median of some processes that do."""
    with tempfile.TemporaryDirectory() as directory:
        progress("the ring is being filled")
        path = fill(Path(directory), millions)
        found = []
        for number in range(rounds):
            progress(f"diagnosing, round {number + 1}")
            command = [sys.executable, "-m", "benchmarks.diagnose", "--ring", str(path)]
            done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
            found.append(json.loads(done.stdout))
        progress("")
    return {key: statistics.median(each[key] for each in found) for key in found[0]}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.diagnose", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="*", metavar="ID", help="programs of these diagnoses alone")
    parser.add_argument("--millions", type=float, default=10, help="of events to diagnose; 0 leaves that out")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    parser.add_argument("--ring", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.ring is not None:
        print(json.dumps(cost(options.ring)))
        return
    chosen = [program for program in programs() if options.only is None or program.finding in options.only]
    # First: a process begins with the peak of the one that started it.
    many = costs(options.millions, options.rounds) if options.millions else None
    rows = []
    for program in chosen:
        progress(program.name)
        rows.append(lateness(program))
    progress("")
    if options.json:
        print(json.dumps({"programs": rows, "many": many}, indent=2))
        return
    print(f"{'program':28}{'told after':>12}   of")
    for row in rows:
        of = f"since + {row['threshold']}" if row["threshold"] else "the start of the program"
        print(f"{row['program']:28}{row['after_ms']:>9.0f} ms   {of}")
    if many is not None:
        print(
            f"\n{many['events'] / 1e6:.1f} million events: {many['cpu']:.2f} s of processor time, "
            f"{many['events'] / many['cpu'] / 1e6:.2f} million a second;"
            f" memory {many['peak_mib']:.0f} MiB at most, {many['before_mib']:.0f} before"
        )


if __name__ == "__main__":
    main()
