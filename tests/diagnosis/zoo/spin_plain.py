"""A greenlet that asks over and over whether another one has got its answer.

finding: spin
greenlet: watch
thresholds: stall_ms=1000
"""

import greenscope.runtime as g
from greenscope.runtime import socket

answers = []
ours, theirs = socket.socketpair()


def ask():
    answers.append(ours.recv(100))


def watch():
    g.sleep(0.1)
    while not answers:
        g.sleep(0)  # <- here


ours.settimeout(60)
g.spawn(ask)
g.spawn(watch).join()
