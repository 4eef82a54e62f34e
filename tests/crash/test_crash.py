"""Programs that libuv would abort, or that would hang, if the runtime let them: each in a process."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPTS = {
    "a descriptor closed while it is armed": """
one, other = socket.socketpair()
reader = runtime.spawn(quiet, one)
runtime.sleep(0.001)
one.close()
runtime.sleep(0.001)
""",
    "a descriptor closed by number while it is armed": """
one, other = socket.socketpair()
reader = runtime.spawn(one.recv, 1)
runtime.sleep(0.001)
os.close(one.fileno())
runtime.sleep(0.001)
reader.kill()
try:
    with runtime.Timeout(0.01, False):
        one.recv(1)
except OSError as error:
    assert error.errno == errno.EBADF
try:
    one.close()
except OSError as error:
    assert error.errno == errno.EBADF
runtime.sleep(0.001)
""",
    "a wait on a descriptor that was closed by number": """
one, other = socket.socketpair()
one._reader()
os.close(one.fileno())
try:
    runtime.get_hub().wait(one._read)
    raise AssertionError
except OSError as error:
    assert error.errno == errno.EBADF
one._sock.detach()
runtime.sleep(0.001)
""",
    "armed, killed and dropped before the kernel was told": """
def work():
    one, other = socket.socketpair()
    with runtime.Timeout(0):
        one.recv(1)
for _ in range(10):
    worker = runtime.spawn(work)
    runtime.sleep(0)
    worker.kill()
runtime.sleep(0.001)
""",
    "a thousand sockets opened and closed while waited on": """
for _ in range(1000):
    one, other = socket.socketpair()
    reader = runtime.spawn(quiet, one)
    runtime.sleep(0)
    one.close()
    other.close()
runtime.sleep(0.001)
""",
    "a watcher closed twice, and its hub destroyed, and closed again": """
one, other = socket.socketpair()
watcher = one._reader()
watcher.close()
watcher.close()
one._read = None
one._reader()
runtime.get_hub().destroy()
one.close()
runtime.sleep(0.001)
""",
    "a reader and a writer of one descriptor, either closed first": """
for first in (1, 2):
    one, other = socket.socketpair()
    hub = runtime.get_hub()
    watchers = [hub.loop.io(one.fileno(), 1), hub.loop.io(one.fileno(), 2)]
    hub.wait(watchers[1])
    watchers[first - 1].close()
    runtime.sleep(0.001)
    watchers[2 - first].close()
    one.close()
    runtime.sleep(0.001)
""",
    "ten thousand timers": """
workers = [runtime.spawn(runtime.sleep, 0.001 * (number % 7)) for number in range(10_000)]
runtime.joinall(workers)
""",
    "a hundred thousand zero timers in a chain do not keep the loop from the rest": """
done = runtime.Event()
def chain():
    with runtime.Timeout(0, False):
        done.wait()
    if not done.is_set():
        runtime.spawn(chain)
chain_ = runtime.spawn(chain)
runtime.sleep(0.01)
done.set()
""",
    "a thread that ends with everything open": """
import threading
def work():
    one, other = socket.socketpair()
    runtime.spawn(one.recv, 1)
    runtime.spawn(runtime.sleep, 60)
    runtime.sleep(0.001)
    keep.append((one, other))
keep = []
for _ in range(3):
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
runtime.sleep(0.001)
gc.collect()
for one, other in keep:
    one.close()
    other.close()
""",
    "garbage with sockets in it, collected in another thread": """
import threading
def make():
    one, other = socket.socketpair()
    with runtime.Timeout(0.001, False):
        one.recv(1)
    cycle = [one, other]
    cycle.append(cycle)
make()
runtime.sleep(0)
thread = threading.Thread(target=gc.collect)
thread.start()
thread.join()
runtime.sleep(0.001)
""",
    "greenlets that are collected while they wait": """
def wait():
    runtime.Event().wait()
for _ in range(100):
    runtime.spawn(wait)
runtime.sleep(0)
gc.collect()
runtime.sleep(0.001)
""",
    "a forked child that closes, ends and collects everything": """
one, other = socket.socketpair()
reader = runtime.spawn(one.recv, 1)
runtime.sleep(0.001)
child = os.fork()
if child == 0:
    one.close()
    del reader
    gc.collect()
    runtime.sleep(0.001)
    raise SystemExit(0)
assert os.waitpid(child, 0)[1] == 0
other.send(b"x")
assert reader.get(timeout=5) == b"x"
""",
    "exit in the middle of everything": """
one, other = socket.socketpair()
runtime.spawn(one.recv, 1)
runtime.spawn_later(60, print)
runtime.Timeout.start_new(60)
runtime.sleep(0.001)
one.close(), other.close()
sys.exit(0)
""",
}

PRELUDE = "import errno, gc, os, sys\nimport greenscope.runtime as runtime\nfrom greenscope.runtime import socket\n"
PRELUDE += """
def quiet(one):
    try:
        one.recv(1)
    except OSError:
        pass
"""


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_process_survives(name):
    command = [sys.executable, "-X", "faulthandler", "-c", PRELUDE + SCRIPTS[name]]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, "")
