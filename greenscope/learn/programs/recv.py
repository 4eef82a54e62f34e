"""recv on an empty socket: what happens between the call and the data?"""

from greenscope.runtime import joinall, sleep, spawn
from greenscope.runtime.socket import socketpair

here, there = socketpair()


def reader():
    for _ in range(2):
        data = here.recv(5)
        print("reader: got", data)


def writer():
    sleep(0.1)
    there.sendall(b"helloworld")


joinall([spawn(reader), spawn(writer)])
