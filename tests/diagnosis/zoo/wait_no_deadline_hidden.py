"""One client that forgot its timeout, among many that have one, all of the same silent server.

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


noise.start()
for _ in range(20):
    g.spawn(careful)
g.sleep(0.2)
g.spawn(forgetful).join()
