"""One client, of many, that was handed a socket of the standard library's, whose server takes its time.

finding: blocking-call
greenlet: old_client
"""

import socket as blocking

import noise

import greenscope.runtime as g

ours, theirs = blocking.socketpair()


def read_answer(connection):
    return connection.recv(100)  # <- here


def old_client():
    g.sleep(0.5)
    ours.sendall(b"what time is it?")
    while read_answer(ours):
        pass


noise.start()
g.spawn(old_client).join()
