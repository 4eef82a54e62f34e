"""A greenlet that computes and lets nobody else run.

finding: hub-blocked
greenlet: sum_up
"""

import greenscope.runtime as g


def sum_up():
    g.sleep(0.1)
    total = 0
    while True:
        total += sum(range(1000))  # <- here


def tick():
    while True:
        g.sleep(0.01)


g.spawn(tick)
g.spawn(sum_up).join()
