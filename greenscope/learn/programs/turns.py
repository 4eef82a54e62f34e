"""Two greenlets, one hub: who runs when?"""

from greenscope.runtime import joinall, sleep, spawn


def ping():
    for number in range(3):
        print("ping", number)
        sleep(0)


def pong():
    for number in range(3):
        print("pong", number)
        sleep(0)


both = [spawn(ping), spawn(pong)]
print("main: both are spawned")
joinall(both)
