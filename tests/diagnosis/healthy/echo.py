"""An echo server under full load: fifty connections, each asking again as soon as it was answered."""

import load

import greenscope.runtime as g
from greenscope.runtime.server import StreamServer


def serve(connection, address):
    while data := connection.recv(4096):
        connection.sendall(data)


server = StreamServer(("127.0.0.1", 0), serve)
server.start()
load.start("echo", server.server_port, 50)
g.get_hub().join()
