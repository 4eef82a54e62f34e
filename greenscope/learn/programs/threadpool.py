"""A call that blocks, in a thread: who waits for it?"""

import time

from greenscope.runtime import get_hub, joinall, sleep, spawn


def ticker():
    for number in range(5):
        sleep(0.05)
        print("ticker: tick", number)


def slow():
    get_hub().threadpool.apply(time.sleep, (0.2,))
    print("slow: the thread is done")


joinall([spawn(ticker), spawn(slow)])
