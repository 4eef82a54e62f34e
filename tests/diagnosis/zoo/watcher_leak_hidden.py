"""A chat in which those who have left are kept in the room, with their sockets.

finding: watcher-leak
greenlet: welcome
thresholds: stall_ms=1000 leak_s=2 leak_more=50
"""

import noise

import greenscope.runtime as g
from greenscope.runtime import socket

room = []


def visit(connection):
    with connection:
        g.sleep(0.005)
        connection.sendall(b"hello")


def welcome():
    while True:
        ours, theirs = socket.socketpair()
        g.spawn(visit, theirs)
        ours.settimeout(5)
        ours.recv(100)  # <- here
        room.append(ours)
        g.sleep(0.01)


noise.start()
g.spawn(welcome).join()
