"""Producers and consumers at full speed, over bounded queues, and workers that have nothing to do for long."""

import greenscope.runtime as g
from greenscope.runtime.queue import Queue


def produce(items):
    for number in range(10**12):
        items.put(number)
        if number % 100 == 0:
            g.sleep(0.001)


def consume(items):
    while True:
        items.get()


idle = Queue()
for _ in range(5):
    items = Queue(10)
    g.spawn(produce, items)
    g.spawn(consume, items)
    g.spawn(consume, idle)
g.get_hub().join()
