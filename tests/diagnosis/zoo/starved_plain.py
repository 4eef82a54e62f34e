"""Three hundred workers that each give way after 4 ms: whoever is woken has to wait until all have had their turn.

finding: starved
greenlet: work
thresholds: stall_ms=1000 hog_slice_ms=100
"""

import time

import greenscope.runtime as g


def work():
    while True:
        g.sleep(0)  # <- here
        done = time.monotonic() + 0.004
        while time.monotonic() < done:
            sum(range(100))


def tick():
    while True:
        g.sleep(0.01)


g.spawn(tick)
g.joinall([g.spawn(work) for _ in range(300)])
