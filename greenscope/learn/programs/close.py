"""close in another greenlet: what becomes of the one that waits?"""

from greenscope.runtime import joinall, sleep, spawn
from greenscope.runtime.socket import socketpair

here, there = socketpair()


def reader():
    try:
        here.recv(100)
    except OSError as error:
        print("reader:", error)


def closer():
    sleep(0.1)
    here.close()
    print("closer: closed it")


joinall([spawn(reader), spawn(closer)])
