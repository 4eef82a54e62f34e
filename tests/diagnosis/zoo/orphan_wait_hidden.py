"""A worker that leaves by the side door keeps the lock; the others wait for it, and the main greenlet for them.

finding: orphan-wait
greenlet: append
thresholds: orphan_ms=300
"""

import noise

import greenscope.runtime as g
from greenscope.runtime.lock import Lock

turn = Lock()
pages = []


def append(page):
    turn.acquire()  # <- here
    if not page:
        return
    pages.append(page)
    g.sleep(0.01)
    turn.release()


noise.start()
g.sleep(0.2)
workers = [g.spawn(append, page) for page in ("one", "two", "", "three", "four")]
g.joinall(workers)
