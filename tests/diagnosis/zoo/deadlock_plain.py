"""Two transfers that lock the same two accounts, each in its own order, while a third greenlet is well.

finding: deadlock
greenlet: pay_back
thresholds: deadlock_ms=300
"""

import greenscope.runtime as g
from greenscope.runtime.lock import RLock

ours, theirs = RLock(), RLock()


def pay():
    with ours:
        g.sleep(0.05)
        with theirs:
            pass


def pay_back():
    with theirs:
        g.sleep(0.1)
        with ours:  # <- here
            pass


def tick():
    while True:
        g.sleep(0.01)


g.spawn(pay)
g.spawn(pay_back)
g.spawn(tick).join()
