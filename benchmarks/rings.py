"""What many rings in one directory cost: those who list them, and a hub that opens its own among them.

    python -m benchmarks.rings

Small rings of dead processes are put into a directory of their own, 2,000 unless told. Listed is what
`greenscope rings` and `greenscope ps` begin with. A hub that opens its ring prunes now and then
(`greenscope/trace/ring_pruning.py`), and all that come within the next seconds do not; both are timed,
with limits under which everything stays. Medians, in milliseconds.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from greenscope.trace import ring_file
from greenscope.trace.recorder import Recorder, open_recorder
from greenscope.trace.ring_file import RingSizes
from greenscope.trace.rings import rings_in

SMALL = RingSizes(events=64, slots=4, sites=8, string_bytes=512, watch=0)


def fill(directory: Path, count: int) -> None:
    """Rings that look as if their processes had died just now."""
    first = directory / "1-1.gsr"
    file = ring_file.create(first, 1, "MainThread", SMALL)
    recorder = Recorder(file)
    recorder.poll_begin(1)
    recorder.detach()
    file.release()
    for number in range(2, count + 1):
        shutil.copyfile(first, directory / f"{number}-1.gsr")


def median_ms(work: Callable[[], object], rounds: int, before: Callable[[], object] = lambda: None) -> float:
    times = []
    for _ in range(rounds):
        before()
        began = time.perf_counter()
        work()
        times.append((time.perf_counter() - began) * 1e3)
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rings", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rings", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    options = parser.parse_args()

    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        os.environ.update(GREENSCOPE_DIR=name, GREENSCOPE_KEEP_RINGS="1000000", GREENSCOPE_KEEP_MB="1000000")
        fill(directory, options.rings)
        listed = len(rings_in(directory))
        hub = 0

        def open_one() -> None:
            nonlocal hub
            hub += 1
            open_recorder(hub, "MainThread").close()

        due = directory / ".pruned"

        def not_due() -> None:
            due.touch()
            os.utime(due, (time.time() + 5,) * 2)

        results = {
            "list": median_ms(lambda: rings_in(directory), options.rounds),
            "open a ring": median_ms(open_one, options.rounds, before=not_due),
            "open a ring, and prune": median_ms(open_one, options.rounds, before=lambda: due.unlink(missing_ok=True)),
        }
    if options.json:
        print(json.dumps({"rings": listed, "milliseconds": results}, indent=2))
        return
    print(f"{listed} rings in a directory, milliseconds")
    for what, milliseconds in results.items():
        print(f"{what:24}{milliseconds:>8.2f}")


if __name__ == "__main__":
    main()
