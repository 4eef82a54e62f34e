"""Thirty greenlets that talk to redis, some of which wait for what others push."""

import subprocess
import sys
import tempfile
from pathlib import Path

from greenscope.runtime import monkey

monkey.patch_all()

import redis  # noqa: E402  (patched first)

import greenscope.runtime as g  # noqa: E402

directory = tempfile.mkdtemp()
path = Path(directory, "redis.sock")
child = "import os, signal, sys, ctypes; ctypes.CDLL(None).prctl(1, 9); os.execvp(sys.argv[1], sys.argv[1:])"
command = ["redis-server", "--port", "0", "--unixsocket", str(path), "--save", "", "--dir", directory]
server = subprocess.Popen([sys.executable, "-c", child, *command], stdout=subprocess.DEVNULL)
while not path.exists():
    g.sleep(0.01)
store = redis.Redis(unix_socket_path=str(path))


def count(name):
    while True:
        store.incr(name)
        store.get(name)


def push():
    while True:
        store.rpush("jobs", b"job")
        g.sleep(0.001)


def pop():
    while True:
        store.blpop("jobs", timeout=5)


for number in range(20):
    g.spawn(count, f"n{number}")
for _ in range(5):
    g.spawn(push)
    g.spawn(pop)
g.get_hub().join()
