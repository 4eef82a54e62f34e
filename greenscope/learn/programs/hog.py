"""A greenlet that hogs the hub: what becomes of the others?"""

from time import monotonic

from greenscope.runtime import joinall, sleep, spawn


def ticker():
    for number in range(6):
        sleep(0.05)
        print("ticker: tick", number)


def hog():
    sleep(0.12)
    end = monotonic() + 0.3
    while monotonic() < end:
        pass
    print("hog: done")


joinall([spawn(ticker), spawn(hog)])
