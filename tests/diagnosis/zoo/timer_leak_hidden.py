"""A cache whose entries have a timer each, which goes on when the entry is replaced.

finding: timer-leak
greenlet: refresh
thresholds: stall_ms=1000 leak_s=2 leak_more=50
"""

import noise

import greenscope.runtime as g

cache = {}


def refresh():
    while True:
        timer = g.get_hub().loop.timer(600)  # <- here
        timer.start(cache.pop, "rates", None)
        cache["rates"] = timer
        g.sleep(0.01)


noise.start()
g.spawn(refresh).join()
