"""What the programs here share: many threads at once, counted; and an answer for the test, in one line.

They are plain blocking programs that know nothing of greenlets: run as they are, threads are threads.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Self

SIZE = 200


class Gauge:
    """How many are inside at once, and the most there ever were."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.now = 0
        self.peak = 0

    def __enter__(self) -> Self:
        with self._lock:
            self.now += 1
            self.peak = max(self.peak, self.now)
        return self

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self.now -= 1


def crowd(work: Callable[[int], object], size: int = SIZE) -> list:
    """What ``work(0)`` to ``work(size - 1)`` return, each called in a thread of its own, all at once."""
    with ThreadPoolExecutor(size) as pool:
        barrier = threading.Barrier(size)

        def together(number: int) -> object:
            barrier.wait(60)
            return work(number)

        return list(pool.map(together, range(size)))


def count(kinds: list[str]) -> dict[str, int]:
    """How many there are of each."""
    return dict(Counter(kinds))


def answer(**facts: object) -> None:
    """Tell the test."""
    print(json.dumps(facts), flush=True)
