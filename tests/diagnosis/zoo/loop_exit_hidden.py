"""A service that was told to stop: its two hundred greenlets do, but for a worker that waits for one item more.

finding: loop-exit
greenlet: work
ends: yes
"""

import noise

import greenscope.runtime as g
from greenscope.runtime.queue import Queue

orders = Queue()


def work():
    while orders.get():  # <- here
        g.sleep(0.001)


def sell():
    for number in range(20):
        orders.put(f"order {number}")
        g.sleep(0.01)


service = noise.start()
seller, worker = g.spawn(sell), g.spawn(work)
g.sleep(0.5)
g.killall([*service, seller])
g.joinall([worker, seller])
