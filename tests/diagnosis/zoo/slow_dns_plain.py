"""A client that connects by name, and whose name server is silent.

The resolver of this program is its own, so that it needs no network: it asks a server on this machine, as the real
one would, in a thread that blocks.

finding: slow-dns
greenlet: connect
thresholds: dns_ms=300
"""

import socket as blocking

import greenscope.runtime as g
from greenscope.runtime import resolve, socket

silent = blocking.socket(blocking.AF_INET, blocking.SOCK_DGRAM)
silent.bind(("127.0.0.1", 0))


def getaddrinfo(host, *_rest):
    with blocking.socket(blocking.AF_INET, blocking.SOCK_DGRAM) as question:
        question.sendto(host.encode(), silent.getsockname())
        return question.recv(512)


resolve._getaddrinfo = getaddrinfo


def connect():
    return socket.create_connection(("db.internal", 5432))  # <- here


def tick():
    while True:
        g.sleep(0.01)


g.spawn(tick)
g.spawn(connect).join()
