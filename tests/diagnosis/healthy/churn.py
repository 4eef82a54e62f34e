"""A server whose connections come and go all the time, a greenlet for each, and a burst of them now and then."""

import load

import greenscope.runtime as g
from greenscope.runtime.server import StreamServer


def serve(connection, address):
    if data := connection.recv(4096):
        connection.sendall(data)


def burst():
    while True:
        g.joinall([g.spawn(g.sleep, 0.2) for _ in range(300)])
        g.sleep(2)


server = StreamServer(("127.0.0.1", 0), serve)
server.start()
load.start("churn", server.server_port, 20)
g.spawn(burst)
g.get_hub().join()
