"""A hand-made wait for a descriptor whose function stops the watcher, and forgets to wake who waits.

finding: lost-wakeup
greenlet: receive
thresholds: lost_ms=300
"""

import greenscope.runtime as g
from greenscope.runtime import socket
from greenscope.runtime.hub import Waiter

ours, theirs = socket.socketpair()


def wait_readable(connection):
    hub = g.get_hub()
    waiter = Waiter(hub)
    watcher = hub.loop.io(connection.fileno(), 1)

    def on_readable():
        watcher.stop()

    watcher.start(on_readable)
    waiter.get()  # <- here


def receive():
    wait_readable(ours)
    ours.recv(100)


def tick():
    while True:
        g.sleep(0.01)


g.spawn(receive)
g.sleep(0.1)
theirs.sendall(b"news")
g.spawn(tick).join()
