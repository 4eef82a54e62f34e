"""Reports that take minutes have all threads of the hub's pool; a thumbnail, which takes a moment, waits for one.

finding: pool-exhausted
greenlet: report
thresholds: pool_ms=300
"""

import time

import greenscope.runtime as g


def report():
    g.get_hub().threadpool.apply(time.sleep, (60,))  # <- here


def thumbnail():
    while True:
        g.get_hub().threadpool.apply(sum, (range(1000),))
        g.sleep(0.01)


def tick():
    while True:
        g.sleep(0.01)


g.spawn(tick)
g.spawn(thumbnail)
g.sleep(0.1)
for _ in range(10):
    g.spawn(report)
g.sleep(60)
