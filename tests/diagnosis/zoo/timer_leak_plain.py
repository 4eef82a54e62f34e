"""Requests that start a timeout and do not cancel it.

finding: timer-leak
greenlet: request
thresholds: stall_ms=1000 leak_s=2 leak_more=50
"""

import greenscope.runtime as g


def request():
    limit = g.Timeout(600)
    limit.start()  # <- here
    g.sleep(0.001)


def take_requests():
    while True:
        g.spawn(request)
        g.sleep(0.01)


g.spawn(take_requests).join()
