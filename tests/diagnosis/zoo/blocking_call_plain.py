"""A sleep that was taken before patching, and so stops the whole thread.

finding: blocking-call
greenlet: nap
"""

import time
from time import sleep as taken_before

import greenscope.runtime as g
from greenscope.runtime import monkey

monkey.patch_all()


def nap():
    time.sleep(0.1)
    while True:
        taken_before(60)  # <- here


def tick():
    while True:
        time.sleep(0.01)


g.spawn(tick)
g.spawn(nap).join()
