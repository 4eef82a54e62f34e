"""One client that forgot its timeout, among many that have one, all of the same silent server.

The program is a server, too, whose own clients have nothing to ask: that is no trouble of its.

finding: wait-no-deadline
greenlet: forgetful
thresholds: wait_ms=500
"""

import socket as blocking

import noise

import greenscope.runtime as g
from greenscope.runtime import socket

silent = blocking.create_server(("127.0.0.1", 0), backlog=200)


def careful():
    while True:
        with socket.create_connection(silent.getsockname()) as connection:
            connection.settimeout(30)
            connection.sendall(b"is anybody there?")
            connection.recv(100)


def forgetful():
    with socket.create_connection(silent.getsockname()) as connection:
        connection.sendall(b"is anybody there?")
        connection.recv(100)  # <- here


def serve():
    while True:
        connection, _ = ours.accept()
        g.spawn(connection.recv, 100)


ours = socket.create_server(("127.0.0.1", 0))
quiet = [blocking.create_connection(ours.getsockname()) for _ in range(10)]
noise.start()
g.spawn(serve)
for _ in range(20):
    g.spawn(careful)
g.sleep(0.2)
g.spawn(forgetful).join()
