"""A hand-made channel that wakes whoever waits for a message, but not if the other side has hung up.

finding: lost-wakeup
greenlet: read_last
thresholds: lost_ms=300
"""

import noise

import greenscope.runtime as g
from greenscope.runtime import socket
from greenscope.runtime.hub import Waiter


class Messages:
    def __init__(self, connection):
        self.hub, self.connection = g.get_hub(), connection
        self.watcher = self.hub.loop.io(connection.fileno(), 1)

    def get(self):
        waiter = Waiter(self.hub)
        self.watcher.start(self.on_readable, waiter)
        return waiter.get()  # <- here

    def on_readable(self, waiter):
        self.watcher.stop()
        message = self.connection.recv(100)
        if message:
            waiter.switch(message)


def read_last(messages):
    while messages.get():
        pass


noise.start()
ours, theirs = socket.socketpair()
reader = g.spawn(read_last, Messages(ours))
for _ in range(5):
    g.sleep(0.05)
    theirs.sendall(b"message")
g.sleep(0.05)
theirs.close()
reader.join()
