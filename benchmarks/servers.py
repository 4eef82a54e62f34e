"""What the benchmarks of servers share: processes, their processor time, and the table at the end.

The servers take turns within a round, so that a machine that slows down slows all of them; what is
reported is the median over the rounds, and the median of the rounds' ratios to gevent.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from operator import truediv
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
BASELINE = "gevent"

# What each server is called, the code that runs it, and what it is told by its environment.
SERVERS: dict[str, tuple[str, dict[str, str]]] = {
    "greenscope, untraced": ("greenscope", {"GREENSCOPE": "0"}),
    "greenscope, traced": ("greenscope", {"GREENSCOPE": "1"}),
    "gevent": ("gevent", {}),
}


def cpu_seconds(pid: int) -> float:
    """User and system time of all threads of a process so far, dead ones included.

    This is ``clock_getcpuclockid(3)``, which Python lacks: nanoseconds, where ``/proc/PID/stat``
    counts in hundredths of a second. The id is the kernel's ``MAKE_PROCESS_CPUCLOCK(pid, CPUCLOCK_SCHED)``.
    """
    return time.clock_gettime((~pid << 3) | 2)


@contextmanager
def running(command: list[str], **kwargs: Any) -> Iterator[subprocess.Popen[str]]:
    """A process that is gone afterwards, whatever happens."""
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **kwargs)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def line_of(process: subprocess.Popen[str], what: str) -> str:
    assert process.stdout is not None
    line = process.stdout.readline().strip()
    if not line:
        raise SystemExit(f"{what} ended with {process.wait()} (its message is above)")
    return line


def processors() -> tuple[int, int]:
    """One for the server and one for the client; -1 for both where there are not two to choose from."""
    available = sorted(os.sched_getaffinity(0))
    return (available[0], available[1]) if len(available) > 1 else (-1, -1)


def progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r{text:60}\r", end="", file=sys.stderr, flush=True)


def summary(
    heads: tuple[str, ...], costs: Mapping[tuple[Any, ...], list[float]], rates: Mapping[tuple[Any, ...], list[float]]
) -> list[dict[str, Any]]:
    """A row a measurement.

    Args:
        heads: what the parts of a key are called; the last is the server.
        costs: microseconds of CPU a request, a number a round, by such keys.
        rates: requests a second, likewise.
    """
    rows = []
    for key, values in costs.items():
        baseline = costs.get((*key[:-1], BASELINE))
        ratio = round(statistics.median(map(truediv, values, baseline)), 3) if baseline else None
        rows.append(
            {
                **dict(zip(heads, key, strict=True)),
                "cpu_us_per_request": round(statistics.median(values), 3),
                "cpu_us_per_request_rounds": [round(value, 3) for value in values],
                "requests_per_second": round(statistics.median(rates[key])),
                f"ratio_to_{BASELINE}": ratio,
            }
        )
    return rows


def print_table(heads: Mapping[str, str], rows: list[dict[str, Any]]) -> None:
    """The rows for a person; ``heads`` are the first columns and how each is aligned."""
    first = " ".join(f"{head:{form}}" for head, form in heads.items())
    print(f"{first}  {'server':22}{'CPU µs':>8}{'÷ ' + BASELINE:>10}{'requests/s':>12}   lowest … highest")
    for row in rows:
        ratio = row[f"ratio_to_{BASELINE}"]
        rounds = row["cpu_us_per_request_rounds"]
        first = " ".join(f"{row[head]:{form}}" for head, form in heads.items())
        print(
            f"{first}  {row['server']:22}{row['cpu_us_per_request']:>8.2f}"
            f"{'' if ratio is None else format(ratio, '.2f'):>10}{row['requests_per_second']:>12}"
            f"   {min(rounds):.2f} … {max(rounds):.2f}"
        )
