"""Clients whose server is silent, and that try again as soon as their sockets have timed out.

finding: timeout-storm
greenlet: retry
thresholds: stall_ms=1000
"""

import noise

import greenscope.runtime as g
from greenscope.runtime import socket

silent = socket.create_server(("127.0.0.1", 0), backlog=200)


def retry():
    with socket.create_connection(silent.getsockname()) as connection:
        connection.settimeout(0.2)
        while True:
            connection.sendall(b"is anybody there?")
            try:
                connection.recv(100)  # <- here
            except TimeoutError:
                continue


noise.start()
for _ in range(30):
    g.spawn(retry)
g.sleep(60)
