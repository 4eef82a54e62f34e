"""Forty greenlets that take turns at two locks, always in the same order, and one that keeps them a little."""

import greenscope.runtime as g
from greenscope.runtime.lock import RLock, Semaphore

outer, inner, few = RLock(), RLock(), Semaphore(3)


def work(seconds):
    while True:
        with outer, inner:
            g.sleep(seconds)
        with few:
            g.sleep(0.001)
        g.sleep(0.01)


for number in range(40):
    g.spawn(work, 0.0005 if number else 0.01)
g.get_hub().join()
