"""Clients that wait for news, as they are meant to; some connections say nothing for the whole time."""

import itertools
import socket as blocking

import load

import greenscope.runtime as g
from greenscope.runtime.event import Event
from greenscope.runtime.server import StreamServer

news = Event()
quiet = []


def serve(connection, address):
    while data := connection.recv(4096):
        news.wait()
        connection.sendall(data)


def publish():
    for _ in itertools.count():
        g.sleep(0.3)
        news.set()
        g.sleep(0)
        news.clear()


server = StreamServer(("127.0.0.1", 0), serve)
server.start()
load.start("poll", server.server_port, 30)
quiet.extend(blocking.create_connection(("127.0.0.1", server.server_port)) for _ in range(20))
g.spawn(publish)
g.get_hub().join()
