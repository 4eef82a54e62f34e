"""Requests to a service that has stopped answering: each gives up after a quarter of a second.

finding: timeout-storm
greenlet: request
thresholds: stall_ms=1000
"""

import greenscope.runtime as g
from greenscope.runtime import event

answered = event.Event()


def request():
    with g.Timeout(0.25, False):  # <- here
        answered.wait()


def answer():
    while True:
        g.sleep(1)
        if answered.is_set():
            return


g.spawn(answer)
while True:
    g.spawn(request)
    g.sleep(0.008)
