"""Readers of pipes that nobody writes to have all threads of the runtime's own pool, which look-ups of names need, too.

finding: pool-exhausted
greenlet: follow
thresholds: pool_ms=300 dns_ms=300
"""

import os

import noise

import greenscope.runtime as g
from greenscope.runtime import socket
from greenscope.runtime.os import tp_read


def follow(log):
    return tp_read(log, 100)  # <- here


def look_up():
    while True:
        socket.getaddrinfo("localhost", "http")
        g.sleep(0.02)


noise.start()
for _ in range(5):
    g.spawn(look_up)
g.sleep(0.2)
pipes = [os.pipe() for _ in range(11)]
g.joinall([g.spawn(follow, log) for log, _ in pipes])
