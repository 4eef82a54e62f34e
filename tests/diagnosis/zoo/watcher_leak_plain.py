"""A client that makes a connection for each question, and keeps them all.

finding: watcher-leak
greenlet: ask
thresholds: stall_ms=1000 leak_s=2 leak_more=50
"""

import greenscope.runtime as g
from greenscope.runtime import socket

listener = socket.create_server(("127.0.0.1", 0), backlog=100)
connections = []


def serve():
    while True:
        connection, _ = listener.accept()
        with connection:
            g.sleep(0.005)
            connection.sendall(b"noon")


def ask():
    while True:
        connection = socket.socket()
        connection.settimeout(5)
        connection.connect(listener.getsockname())  # <- here
        connection.recv(100)
        connections.append(connection)
        g.sleep(0.015)


g.spawn(serve)
g.spawn(ask).join()
