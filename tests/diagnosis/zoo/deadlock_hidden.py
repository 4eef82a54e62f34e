"""Whoever closes the log waits for its writer to end, and holds the lock that the writer needs for a last line.

Others that want to log wait behind them, and two hundred are well.

finding: deadlock
greenlet: close
thresholds: deadlock_ms=300
"""

import noise

import greenscope.runtime as g
from greenscope.runtime.lock import BoundedSemaphore

turn = BoundedSemaphore(1)
lines = []


def write():
    g.sleep(0.5)
    while lines:
        with turn:
            lines.pop()


def log(line):
    g.sleep(0.6)
    with turn:
        lines.append(line)


def close(writer):
    g.sleep(0.3)
    with turn:
        g.sleep(0.4)
        writer.join()  # <- here


noise.start()
lines.extend("abc")
writer = g.spawn(write)
for letter in "def":
    g.spawn(log, letter)
g.spawn(close, writer).join()
