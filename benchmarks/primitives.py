"""CPU time of what programs do most, beside sockets: greenscope untraced and traced, and gevent.

    python -m benchmarks.primitives                       a minute
    python -m benchmarks.primitives --rounds 1 --number 1000 --only "sleep(0)"

Each figure is the processor time, user and system, that one operation costs a process that does
nothing else; each process is new, and the runtimes take turns within a round, so that a machine that
slows down slows all of them. Printed are the median over the rounds, and the median of the rounds'
ratios to gevent. The work is the same code, line for line, over either runtime's names.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from operator import truediv
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parent.parent

RUNTIMES: dict[str, tuple[str, dict[str, str]]] = {
    "greenscope, untraced": ("greenscope.runtime", {"GREENSCOPE": "0"}),
    "greenscope, traced": ("greenscope.runtime", {"GREENSCOPE": "1"}),
    "gevent": ("gevent", {}),
}
BASELINE = "gevent"


# The work: each takes the runtime's package and a number of operations.


def nothing() -> None:
    pass


def spawn_and_join(green: Any, number: int) -> None:
    for _ in range(number):
        green.spawn(nothing).join()


def spawn_many_and_join_all(green: Any, number: int) -> None:
    for _ in range(number // 100):
        green.joinall([green.spawn(nothing) for _ in range(100)])


def sleep_0(green: Any, number: int) -> None:
    sleep = green.sleep
    for _ in range(number):
        sleep(0)


def sleep_0_of_many(green: Any, number: int) -> None:
    def work() -> None:
        sleep = green.sleep
        for _ in range(number // 100):
            sleep(0)

    green.joinall([green.spawn(work) for _ in range(100)])


def timeout_in_and_out(green: Any, number: int) -> None:
    timeout = green.Timeout
    for _ in range(number):
        with timeout(10):
            pass


def lock_without_contention(green: Any, number: int) -> None:
    lock = green.lock.Semaphore()
    for _ in range(number):
        with lock:
            pass


def lock_handed_over(green: Any, number: int) -> None:
    # The second sleep is where the next one gets the lock, in either runtime: ours hands it over when it is
    # let go, gevent leaves it to whoever asks first.
    lock = green.lock.Semaphore()

    def work() -> None:
        for _ in range(number // 4):
            with lock:
                green.sleep(0)
            green.sleep(0)

    green.joinall([green.spawn(work) for _ in range(4)])


def event_set_and_waited_for(green: Any, number: int) -> None:
    there, back = green.event.Event(), green.event.Event()

    def answer() -> None:
        for _ in range(number):
            there.wait()
            there.clear()
            back.set()

    answering = green.spawn(answer)
    for _ in range(number):
        there.set()
        back.wait()
        back.clear()
    answering.join()


def queue_put_and_got(green: Any, number: int) -> None:
    queue = green.queue.Queue(1)

    def put() -> None:
        for item in range(number):
            queue.put(item)

    putting = green.spawn(put)
    for _ in range(number):
        queue.get()
    putting.join()


def lock_fought_over(green: Any, number: int) -> None:
    lock = green.lock.Semaphore()

    def work() -> None:
        for _ in range(number // 2):
            with lock:
                green.sleep(0)

    green.joinall([green.spawn(work) for _ in range(2)])


def queue_got_in_time(green: Any, number: int) -> None:
    queue = green.queue.Queue()

    def put() -> None:
        for item in range(number):
            queue.put(item)
            green.sleep(0)

    putting = green.spawn(put)
    for _ in range(number):
        queue.get(timeout=10)
    putting.join()


def there_and_back(green: Any, number: int, wait: Callable[[Any], object]) -> None:
    """Bytes sent and answered; ``wait`` is how the answer is waited for."""
    mine, theirs = green.socket.socketpair()

    def answer() -> None:
        while data := theirs.recv(1):
            theirs.send(data)

    answering = green.spawn(answer)
    for _ in range(number):
        mine.send(b"x")
        wait(mine)
        mine.recv(1)
    mine.close()
    answering.join()
    theirs.close()


def recv_waited_for(green: Any, number: int) -> None:
    there_and_back(green, number, lambda _mine: None)


def wait_read_waited_for(green: Any, number: int) -> None:
    wait_read = green.socket.wait_read
    there_and_back(green, number, lambda mine: wait_read(mine.fileno()))


def select_waited_for(green: Any, number: int) -> None:
    select = green.select.select
    there_and_back(green, number, lambda mine: select([mine], [], []))


WORK: dict[str, Callable[[Any, int], None]] = {
    "spawn, join": spawn_and_join,
    "spawn of 100, joinall": spawn_many_and_join_all,
    "sleep(0)": sleep_0,
    "sleep(0) of 100": sleep_0_of_many,
    "Timeout, in and out": timeout_in_and_out,
    "lock, free": lock_without_contention,
    "lock, handed over": lock_handed_over,
    "event, there and back": event_set_and_waited_for,
    "queue, put and get": queue_put_and_got,
    "lock, fought over": lock_fought_over,
    "queue, got in time": queue_got_in_time,
    "recv that waits": recv_waited_for,
    "wait_read, then recv": wait_read_waited_for,
    "select, then recv": select_waited_for,
}


def work(package: str, what: str, number: int) -> float:
    """Microseconds of CPU an operation, in this process."""
    green: ModuleType = __import__(package, fromlist=["lock", "event", "queue"])
    for module in ("lock", "event", "queue", "select", "socket"):
        __import__(f"{package}.{module}")
    function = WORK[what]
    function(green, min(number, 1000))  # what is made once: the hub, the idle timers, the compiler's caches
    before = time.process_time()
    function(green, number)
    return (time.process_time() - before) / number * 1e6


def measure(name: str, what: str, number: int) -> float:
    package, environment = RUNTIMES[name]
    command = [sys.executable, "-m", "benchmarks.primitives", "--work", package, what, "--number", str(number)]
    with tempfile.TemporaryDirectory() as traces:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env={**os.environ, "GREENSCOPE_DIR": traces, **environment},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    return float(done.stdout)


def run(options: argparse.Namespace) -> list[dict[str, Any]]:
    costs: dict[tuple[str, str], list[float]] = defaultdict(list)
    for _ in range(options.rounds):
        for what in options.only or WORK:
            for name in RUNTIMES:
                costs[what, name].append(measure(name, what, options.number))
    return [
        {
            "work": what,
            "runtime": name,
            "cpu_us": round(statistics.median(values), 3),
            f"ratio_to_{BASELINE}": round(statistics.median(map(truediv, values, costs[what, BASELINE])), 3),
        }
        for (what, name), values in costs.items()
    ]


def report(results: list[dict[str, Any]], options: argparse.Namespace) -> None:
    print(
        f"CPU microseconds an operation (median of {options.rounds} rounds of {options.number}),"
        f" Python {sys.version.split()[0]}"
    )
    print(f"{'':24}{'untraced':>10}{'÷ gevent':>10}{'traced':>10}{'÷ gevent':>10}{'gevent':>10}")
    rows = {(row["work"], row["runtime"]): row for row in results}
    for what in dict.fromkeys(row["work"] for row in results):
        untraced, traced, gevent = (rows[what, name] for name in RUNTIMES)
        print(
            f"{what:24}{untraced['cpu_us']:>10.2f}{untraced['ratio_to_gevent']:>10.2f}"
            f"{traced['cpu_us']:>10.2f}{traced['ratio_to_gevent']:>10.2f}{gevent['cpu_us']:>10.2f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.primitives", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--number", type=int, default=50_000, help="operations a measurement")
    parser.add_argument("--only", nargs="+", choices=WORK, metavar="WORK", help="not all, but these")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    parser.add_argument("--work", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        package, what = options.work
        print(work(package, what, options.number))
        return
    results = run(options)
    if options.json:
        print(json.dumps({"python": sys.version.split()[0], "results": results}, indent=2))
    else:
        report(results, options)


if __name__ == "__main__":
    main()
