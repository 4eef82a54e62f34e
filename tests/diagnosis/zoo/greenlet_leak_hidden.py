"""A server whose clients stay connected and say nothing more: a handler each, for ten minutes.

finding: greenlet-leak
greenlet: handle
thresholds: stall_ms=1000 leak_s=2 leak_more=50
"""

import noise

import greenscope.runtime as g
from greenscope.runtime import socket

listener = socket.create_server(("127.0.0.1", 0), backlog=100)
clients = []


def handle(connection):
    connection.settimeout(600)
    while data := connection.recv(100):
        connection.sendall(data)


def serve():
    while True:
        connection, _ = listener.accept()
        g.spawn(handle, connection)  # <- here


def connect():
    while True:
        client = socket.create_connection(listener.getsockname())
        client.settimeout(5)
        client.sendall(b"is this a good line?")
        client.recv(100)
        clients.append(client.detach())
        g.sleep(0.02)


noise.start()
g.spawn(serve)
g.spawn(connect).join()
