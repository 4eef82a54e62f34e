"""Somebody waits for the next item of a feed whose reader failed, and left no word.

finding: orphan-wait
greenlet: index
thresholds: orphan_ms=300
"""

import greenscope.runtime as g
from greenscope.runtime.queue import Queue

articles = Queue()


def read_feed():
    for number in range(5):
        g.sleep(0.02)
        articles.put(f"article {number}")
    raise ConnectionError("the feed was closed")


def index():
    while True:
        articles.get()  # <- here


def tick():
    while True:
        g.sleep(0.01)


g.spawn(index)
g.spawn(read_feed)
g.spawn(tick).join()
