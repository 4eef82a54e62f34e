"""send on a full buffer: where are the bytes that nobody has read yet?"""

from greenscope.runtime import joinall, sleep, spawn
from greenscope.runtime.socket import SO_SNDBUF, SOL_SOCKET, socketpair

here, there = socketpair()
here.setsockopt(SOL_SOCKET, SO_SNDBUF, 50_000)  # a small buffer: it is soon full
data = b"x" * 200_000


def sender():
    sent = 0
    while sent < len(data):
        sent += here.send(data[sent:])
        print("sender: the kernel has", sent, "bytes")


def receiver():
    sleep(0.1)
    received = 0
    while received < len(data):
        received += len(there.recv(len(data)))
    print("receiver: got", received, "bytes")


joinall([spawn(sender), spawn(receiver)])
