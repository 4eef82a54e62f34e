"""A report that yields after each of its pages, and a page takes 40 ms.

finding: hog-by-slices
greenlet: report
thresholds: stall_ms=400
"""

import time

import greenscope.runtime as g


def report():
    g.sleep(0.1)
    while True:
        done = time.monotonic() + 0.04
        while time.monotonic() < done:
            sum(range(1000))
        g.sleep(0)  # <- here


def tick():
    while True:
        g.sleep(0.01)


g.spawn(tick)
g.spawn(report).join()
