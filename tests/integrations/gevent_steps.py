"""What tests/integrations/test_gevent_steps.py records: each greenlet does one thing, and is called after it."""

import gevent
from gevent import socket
from gevent.pool import Pool
from gevent.server import StreamServer


def sleeps():
    gevent.sleep(0.01)  # line: sleeps


def gives_way():
    gevent.sleep(0)


def raises():
    raise ValueError("as it should")


def is_killed():
    gevent.sleep(60)


def never_runs():
    raise AssertionError


def is_timed_out():
    with gevent.Timeout(0.01, False):
        gevent.sleep(60)


def is_in_time():
    with gevent.Timeout(60):
        gevent.sleep(0)


def talks(port):
    with socket.create_connection(("127.0.0.1", port)) as connection:
        for _ in range(3):
            connection.sendall(b"ping")
            assert connection.recv(4) == b"ping"  # line: talks


def echo(connection, _address):
    while data := connection.recv(100):
        connection.sendall(data)


class Named(gevent.Greenlet):
    def _run(self):
        gevent.sleep(0)


def main():
    gevent.get_hub().exception_stream = None
    for function in (sleeps, gives_way, raises, is_timed_out, is_in_time):
        gevent.spawn(function).join()
    victim = gevent.spawn(is_killed)
    gevent.sleep(0)
    victim.kill()
    gevent.spawn(never_runs).kill()
    server = StreamServer(("127.0.0.1", 0), echo, spawn=Pool(5))
    server.start()
    gevent.spawn(talks, server.server_port).join()
    server.stop()  # which waits for its greenlets
    called = Named()
    called.name = "by its name"
    called.start()
    called.join()
    raw = gevent.spawn_raw(gevent.sleep, 0)
    while not raw.dead:
        gevent.sleep(0)


main()
