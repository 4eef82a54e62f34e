"""Timeout: who raises it, when, and where?"""

from greenscope.runtime import Timeout, joinall, sleep, spawn
from greenscope.runtime.socket import socketpair

here, there = socketpair()


def client():
    for seconds in (0.05, 1):
        try:
            with Timeout(seconds):
                print("client: got", here.recv(100))
        except Timeout:
            print("client: no answer within", seconds, "s")


def server():
    sleep(0.15)
    there.sendall(b"sorry, I am late")


joinall([spawn(client), spawn(server)])
