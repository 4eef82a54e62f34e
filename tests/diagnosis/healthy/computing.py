"""Heavy computing that gives way every few milliseconds, beside greenlets that have little to do."""

import greenscope.runtime as g


def compute():
    while True:
        sum(range(100_000))
        g.sleep(0)


def tick():
    while True:
        g.sleep(0.01)


g.spawn(compute)
for _ in range(20):
    g.spawn(tick)
g.get_hub().join()
