"""A loop over a selector that does not wait, because its timeout is 0, in a busy program.

finding: spin
greenlet: serve
thresholds: stall_ms=1000
"""

import noise

import greenscope.runtime as g
from greenscope.runtime import select, socket

ours, theirs = socket.socketpair()


def serve():
    g.sleep(0.3)
    while True:
        readable, _, _ = select.select([theirs], [], [], 0)  # <- here
        for connection in readable:
            connection.recv(100)


noise.start()
g.spawn(serve).join()
