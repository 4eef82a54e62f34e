"""Trouble that is about the whole process, each kind in one of its own: it lives, nothing hangs or is left."""

from __future__ import annotations

import os
import random
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

PRELUDE = """
import faulthandler, gc, os, resource, signal, sys
from time import monotonic
import greenscope.runtime as runtime
from greenscope.runtime import socket
from greenscope.runtime.server import StreamServer
faulthandler.dump_traceback_later(100, exit=True)

def echo(connection, address):
    while data := connection.recv(1000):
        connection.sendall(data)

def descriptors():
    return len(os.listdir("/dev/fd"))

def settle():
    for _ in range(5):
        runtime.sleep(0.001)
"""


@contextmanager
def program(source: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", PRELUDE + source, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


OUT_OF_DESCRIPTORS = """
class Counting(StreamServer):
    min_delay = 0.01
    max_delay = 0.08
    attempts, early, last_failure, waited = 0, 0, 0.0, 0.0

    def do_read(self):
        self.attempts += 1
        if self.last_failure and monotonic() - self.last_failure < self.waited:
            self.early += 1
        try:
            got = super().do_read()
        except OSError:
            self.last_failure, self.waited = monotonic(), self.delay
            raise
        self.last_failure = 0.0
        return got

server = Counting(("127.0.0.1", 0), echo)
server.start()
used = descriptors()
resource.setrlimit(resource.RLIMIT_NOFILE, (used + 10, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
print(server.server_port, flush=True)
server.serve_forever()
"""


def test_a_server_that_is_out_of_descriptors_backs_off_and_then_takes_everybody():
    source = OUT_OF_DESCRIPTORS.replace(
        "server.serve_forever()",
        """
from greenscope.runtime.os import tp_read
tp_read(0, 1)
server.stop()
print(server.attempts, server.early, flush=True)
""",
    )
    with program(source) as server:
        port = int(server.stdout.readline())
        clients = [socket.create_connection(("127.0.0.1", port), timeout=20) for _ in range(30)]
        delays = []
        while len(delays) < 8:
            line = server.stderr.readline()
            assert "Too many open files" in line, line + server.stderr.read()
            delays.append(float(line.rsplit(" ", 2)[1]))
        assert delays == [0.01, 0.02, 0.04] + [0.08] * 5
        served = 0
        for client in clients:  # from the oldest on: each that leaves makes room for one that waits
            client.sendall(b"x")
            assert client.recv(1) == b"x"
            client.close()
            served += 1
        assert served == 30
        output, errors = server.communicate("x", timeout=20)
        attempts, early = map(int, output.split())
        failures = len(delays) + errors.count("Too many open files")
        assert early == 0
        # Each connection is one attempt, and one more finds that there is no other.
        assert attempts <= failures + 2 * 30 + 1
        assert server.returncode == 0


INTERRUPTED = """
from random import Random
from greenscope.runtime import Event, Queue, Semaphore
from greenscope.runtime.pool import Pool

hub = runtime.get_hub()
settle()
before = hub.loop.census(), hub.loop.active, descriptors()
acknowledge = int(sys.argv[1])
server = StreamServer(("127.0.0.1", 0), echo)
server.start()
queue, lock, workers = Queue(3), Semaphore(2), []

def talk():
    with socket.create_connection(server.address) as client:
        while True:
            client.sendall(b"x" * 500)
            client.recv(1000)

def hand_over():
    while True:
        with lock, runtime.Timeout(0.0005, False):
            queue.put(None)
        with runtime.Timeout(0.0005, False):
            queue.get()
        runtime.sleep(0)

def come_and_go():
    while True:
        runtime.joinall([runtime.spawn(runtime.sleep, 0.0003) for _ in range(3)])

def work():
    global server
    if not server.started or server._acceptor is None or server._acceptor.dead:
        server.stop()
        server = StreamServer(("127.0.0.1", 0), echo)
        server.start()
    workers[:] = [worker for worker in workers if not worker.dead]
    while len(workers) < 12:
        workers.append(runtime.spawn((talk, hand_over, come_and_go)[len(workers) % 3]))
    runtime.sleep(0.005)

count, struck = 0, False
print("ready", flush=True)
while True:
    try:
        if struck:  # in here, because the next one may come as soon as this is said
            struck = False
            os.write(acknowledge, b"x")
        while True:
            work()
            if os.path.exists(sys.argv[2]):
                break
        break
    except KeyboardInterrupt:
        count += 1
        struck = True
faulthandler.cancel_dump_traceback_later()
faulthandler.dump_traceback_later(20, exit=True)
runtime.killall(workers, timeout=5)
left_over = [worker for worker in workers if not worker.dead]
server.stop()
del workers[:], server
for _ in range(50):
    settle()
    gc.collect()
after = hub.loop.census(), hub.loop.active, descriptors()
print(count, left_over, "same" if before == after else (before, after), flush=True)
"""


def test_ctrl_c_at_any_moment_leaves_a_process_that_lives_and_ends_cleanly(tmp_path):
    interrupts, chance = 300, random.Random(7)
    mine, theirs = os.pipe()
    stop = tmp_path / "stop"
    command = [sys.executable, "-c", PRELUDE + INTERRUPTED, str(theirs), str(stop)]
    errors = (tmp_path / "errors").open("w+")
    with (
        errors,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, pass_fds=[theirs]) as process,
    ):
        os.close(theirs)
        try:
            assert process.stdout.readline() == "ready\n"
            for _ in range(interrupts):
                time.sleep(chance.uniform(0, 0.01))
                process.send_signal(signal.SIGINT)
                answer = os.read(mine, 1)
                assert answer == b"x", "it ended at an interrupt"
            stop.touch()
            output, _ = process.communicate(timeout=60)
        finally:
            process.kill()
            os.close(mine)
            errors.seek(0)
            print(errors.read()[-5000:])
    assert process.returncode == 0
    assert output == f"{interrupts} [] same\n"


FORKS = """
from greenscope.runtime.os import waitpid
fork = os.fork

hub = runtime.get_hub()
settle()
before = hub.loop.census(), hub.loop.active, descriptors()
server = StreamServer(("127.0.0.1", 0), echo)
server.start()
rounds = [0] * 10

def talk(number):
    with socket.create_connection(server.address) as client:
        while rounds[number] >= 0:
            client.sendall(b"x" * 500)
            got = 0
            while got < 500:
                got += len(client.recv(500))
            rounds[number] += 1

def child():
    one, other = socket.socketpair()
    reader = runtime.spawn(one.recv, 1)
    runtime.sleep(0.001)
    other.sendall(b"x")
    with runtime.Timeout(20), one, other:
        return 7 if reader.get() == b"x" else 1

talkers = [runtime.spawn(talk, number) for number in range(10)]
statuses = []

def forker(times):
    for _ in range(times):
        pid = fork()
        if pid == 0:
            try:
                code = child()
            except BaseException:
                sys.excepthook(*sys.exc_info())
                code = 2
            finally:
                os._exit(code)
        statuses.append(os.waitstatus_to_exitcode(waitpid(pid, 0)[1]))
        seen = sum(rounds)
        with runtime.Timeout(20):
            while sum(rounds) == seen:
                runtime.sleep(0.001)

forkers = [runtime.spawn(forker, 50) for _ in range(3)]
forker(50)
runtime.joinall(forkers)
assert statuses == [7] * 200, statuses
for number in range(10):
    rounds[number] = -10**9
runtime.joinall(talkers, timeout=20)
assert all(talker.dead for talker in talkers)
server.stop()
del server, talkers, forkers
settle()
gc.collect()
settle()
after = hub.loop.census(), hub.loop.active, descriptors()
print("same" if before == after else (before, after), flush=True)
"""


def test_two_hundred_forks_under_load_leave_children_and_parent_that_work():
    with program(FORKS) as process:
        output, errors = process.communicate(timeout=110)
    assert (output, errors) == ("same\n", "")
    assert process.returncode == 0


RESETS = """
server = StreamServer(("127.0.0.1", 0), echo)
server.start()
settle()
before = runtime.get_hub().loop.census(), runtime.get_hub().loop.active, descriptors()
print(server.server_port, flush=True)
from greenscope.runtime.os import tp_read
tp_read(0, 1)
for _ in range(1000):
    settle()
    after = runtime.get_hub().loop.census(), runtime.get_hub().loop.active, descriptors()
    if before == after:
        break
print("same" if before == after else (before, after), flush=True)
server.stop()
"""


def test_five_hundred_peers_that_reset_leave_nothing():
    with program("sys.stderr = open(os.devnull, 'w')\n" + RESETS) as server:
        port = int(server.stdout.readline())
        for number in range(500):
            client = socket.create_connection(("127.0.0.1", port), timeout=20)
            if number % 3:
                client.sendall(b"x" * 500)
            if number % 3 == 2:
                client.recv(1)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
        output, _errors = server.communicate("x", timeout=60)
        assert output == "same\n"
        assert server.returncode == 0
