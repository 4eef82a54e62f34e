"""Work for the thread pool, and names to look up, without anybody waiting for long."""

import time

import greenscope.runtime as g
from greenscope.runtime import socket


def hand_over():
    while True:
        g.get_hub().threadpool.apply(time.sleep, (0.005,))


def look_up():
    while True:
        socket.getaddrinfo("localhost", 80)
        g.sleep(0.05)


for _ in range(5):
    g.spawn(hand_over)
g.spawn(look_up)
g.get_hub().join()
