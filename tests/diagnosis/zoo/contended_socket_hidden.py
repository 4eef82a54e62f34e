"""Two libraries that wait for a descriptor in their own way were given the same one, among many that are well.

finding: contended-socket
greenlet: heartbeat
thresholds: contended_ms=300
"""

import noise

import greenscope.runtime as g
from greenscope.runtime import socket
from greenscope.runtime.socket import wait_read

ours, theirs = socket.socketpair()


def subscribe(fd):
    wait_read(fd, timeout=60)


def heartbeat(fd):
    g.sleep(0.2)
    wait_read(fd, timeout=60)  # <- here


noise.start()
g.spawn(subscribe, ours.fileno())
g.spawn(heartbeat, ours.fileno()).join()
