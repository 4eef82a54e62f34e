"""What tests/integrations/test_gevent_life.py records: hubs that come and go, in a thread, in a fork, in a row."""

import os
import threading

import gevent
import gevent.os

from greenscope.trace import mark, request, set_name, span


def notes():
    set_name("by itself")
    with span("load"):
        gevent.sleep(0.001)
    mark("here")
    with request("id-1", "GET /") as served:
        served.status = 200


def in_thread():
    gevent.sleep(0.001)


def in_the_fork():
    gevent.sleep(0.001)


def in_the_next_hub():
    gevent.sleep(0.001)


gevent.spawn(notes).join()
thread = threading.Thread(target=lambda: gevent.spawn(in_thread).join(), name="second")
thread.start()
thread.join()
pid = gevent.os.fork()
if pid == 0:
    gevent.spawn(in_the_fork).join()
    os._exit(0)
os.waitpid(pid, 0)
gevent.get_hub().destroy(destroy_loop=True)
gevent.spawn(in_the_next_hub).join()
