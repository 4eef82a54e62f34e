"""Two greenlets ask over one connection, and both wait for the answer.

finding: contended-socket
greenlet: ask_too
"""

import greenscope.runtime as g
from greenscope.runtime import socket

ours, theirs = socket.socketpair()


def ask():
    ours.sendall(b"one")
    ours.recv(100)


def ask_too():
    g.sleep(0.1)
    ours.sendall(b"two")
    ours.recv(100)  # <- here


def tick():
    while True:
        g.sleep(0.01)


g.spawn(ask)
g.spawn(ask_too)
g.spawn(tick).join()
