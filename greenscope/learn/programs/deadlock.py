"""Two locks, two greenlets, and no way out: what does the hub do?"""

from greenscope.runtime import Lock, joinall, sleep, spawn

pen, paper = Lock(), Lock()


def anna():
    with pen:
        sleep(0.05)
        with paper:
            print("anna: writes")


def ben():
    with paper:
        sleep(0.05)
        with pen:
            print("ben: writes")


joinall([spawn(anna), spawn(ben)])
