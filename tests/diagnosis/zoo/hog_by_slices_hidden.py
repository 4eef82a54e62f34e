"""A server that compresses what it is sent, 40 ms at a time, for a client that always has more.

finding: hog-by-slices
greenlet: compress
thresholds: stall_ms=400
"""

import time
import zlib

import noise

import greenscope.runtime as g
from greenscope.runtime import socket

ours, theirs = socket.socketpair()


def compress():
    while theirs.recv(100):  # <- here
        done = time.monotonic() + 0.04
        while time.monotonic() < done:
            zlib.compress(bytes(10_000), 9)


def feed():
    while True:
        ours.sendall(b"more")
        g.sleep(0.005)


theirs.settimeout(60)
noise.start()
g.spawn(feed)
g.spawn(compress).join()
