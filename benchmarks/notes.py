"""Nanoseconds that a program's own notes cost it, with a recording and without.

    python -m benchmarks.notes

A span, a mark, a request and a name, as a program writes them, once with ``GREENSCOPE=0`` and once recorded.
The loop around them is taken off. The best of the repeats is printed, because everything that disturbs a
tight loop makes it slower.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import timeit

from greenscope.runtime import get_hub
from greenscope.trace import mark, request, set_name, span

STATEMENTS = {
    "span, with": "with span('load'): pass",
    "span, decorated": "decorated()",
    "mark": "mark('out of stock: 4711')",
    "request": "with request('id-1', 'GET /orders') as served: served.status = 200",
    "set_name": "set_name('worker')",
}


def measure(number: int, repeats: int) -> None:
    """Print a line for each statement, of this process."""
    get_hub()
    plain = lambda: None  # noqa: E731  (what is decorated, and what is not)
    names = {"span": span, "mark": mark, "request": request, "set_name": set_name}
    names.update(plain=plain, decorated=span("work")(plain))
    for name, statement in STATEMENTS.items():
        base = "plain()" if "decorated" in name else "pass"
        best, empty = (
            min(timeit.repeat(code, globals=names, number=number, repeat=repeats)) for code in (statement, base)
        )
        print(f"{name}\t{(best - empty) / number * 1e9:.0f}")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--number", type=int, default=100_000, help="calls a repeat")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.here:
        measure(arguments.number, arguments.repeats)
        return 0
    own = ["--here", f"--number={arguments.number}", f"--repeats={arguments.repeats}"]
    figures: dict[str, list[str]] = {}
    with tempfile.TemporaryDirectory() as directory:
        for recording in ("0", "1"):
            done = subprocess.run(
                [sys.executable, "-m", "benchmarks.notes", *own],
                env=dict(os.environ, GREENSCOPE=recording, GREENSCOPE_DIR=f"{directory}/rings"),
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
            for line in done.stdout.splitlines():
                name, figure = line.split("\t")
                figures.setdefault(name, []).append(figure)
    if arguments.json:
        print(json.dumps({name: {"off": int(off), "recorded": int(on)} for name, (off, on) in figures.items()}))
        return 0
    print(f"{'nanoseconds':18} {'off':>6} {'recorded':>9}")
    for name, (off, recorded) in figures.items():
        print(f"{name:18} {off:>6} {recorded:>9}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
