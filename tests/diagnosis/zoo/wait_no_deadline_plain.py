"""A client whose server accepts, and never answers.

finding: wait-no-deadline
greenlet: ask
thresholds: wait_ms=500
"""

import socket as blocking

import greenscope.runtime as g
from greenscope.runtime import socket

silent = blocking.create_server(("127.0.0.1", 0))


def ask():
    with socket.create_connection(silent.getsockname()) as connection:
        connection.sendall(b"is anybody there?")
        connection.recv(100)  # <- here


g.spawn(ask).join()
