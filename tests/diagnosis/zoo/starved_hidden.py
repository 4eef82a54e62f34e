"""Jobs come in by a queue, and there are far more workers than the one processor can serve.

finding: starved
greenlet: render
thresholds: stall_ms=1000 hog_slice_ms=100
"""

import time

import noise

import greenscope.runtime as g
from greenscope.runtime import queue

jobs = queue.Queue()


def render():
    while True:
        jobs.get(timeout=60)  # <- here
        done = time.monotonic() + 0.005
        while time.monotonic() < done:
            sum(range(100))


def take_orders():
    while True:
        for number in range(200):
            jobs.put(number)
        g.sleep(1.5)


noise.start()
workers = [g.spawn(render) for _ in range(200)]
g.sleep(0.1)
g.spawn(take_orders).join()
