"""What is replayed in tests: real programs, each about one thing, that are recorded; and stories, out of events."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from greenscope.trace.analysis.replay import Replay
from greenscope.trace.events import Kind, Wait
from greenscope.trace.records import Event, Gap
from tests.trace.analysis.batches import batches
from tests.trace.analysis.stories import MAIN, MS, WORKER, Names, event

PROGRAMS = {
    "full buffer": """
from greenscope.runtime import joinall, sleep, socket, spawn
one, other = socket.socketpair()
def server():
    data = other.recv(100)
    sleep(0.001)
    other.sendall(data * 300_000)
def client():
    one.sendall(b"hello")
    got = 0
    while got < 1_500_000:
        got += len(one.recv(1 << 16))
joinall([spawn(server), spawn(client)])
""",
    "accept": """
from greenscope.runtime import joinall, socket, spawn
listener = socket.create_server(("127.0.0.1", 0))
def server():
    connection, _ = listener.accept()
    with connection:
        connection.sendall(connection.recv(100))
def client():
    with socket.create_connection(listener.getsockname()) as connection:
        connection.sendall(b"hello")
        connection.recv(100)
joinall([spawn(server), spawn(client)])
listener.close()
""",
    "timeouts": """
from greenscope.runtime import Timeout, joinall, sleep, socket, spawn
one, other = socket.socketpair()
def late():
    with Timeout(0.005, False):
        one.recv(1)
def soon():
    with Timeout(1):
        sleep(0.001)
def of_socket():
    other.settimeout(0.002)
    try:
        other.recv(1)
    except OSError:
        pass
joinall([spawn(late), spawn(soon), spawn(of_socket)])
""",
    "locks": """
from greenscope.runtime import Semaphore, joinall, sleep, spawn
from greenscope.runtime.lock import RLock
lock, few = RLock(), Semaphore(2)
def hold():
    with lock:
        sleep(0.001)
def enter():
    with few:
        sleep(0)
joinall([spawn(hold) for _ in range(3)] + [spawn(enter) for _ in range(4)])
""",
    "queues": """
from greenscope.runtime import joinall, spawn
from greenscope.runtime.event import AsyncResult, Event
from greenscope.runtime.queue import Queue
queue, event, result = Queue(1), Event(), AsyncResult()
def put():
    for number in range(4):
        queue.put(number)
    event.set()
    result.set(1)
def get():
    for _ in range(4):
        queue.get()
def wait():
    event.wait()
    result.get()
joinall([spawn(get), spawn(put), spawn(wait), spawn(wait)])
""",
    "closes": """
from greenscope.runtime import sleep, socket, spawn
one, other = socket.socketpair()
def reads():
    try:
        one.recv(1)
    except OSError:
        pass
reader = spawn(reads)
sleep(0)
one.close()
reader.join()
sleeper = spawn(sleep, 60)
sleep(0)
sleeper.kill()
never = spawn(sleep, 60)
never.kill()
""",
    "threads": """
import time
from greenscope.runtime import get_hub, sleep, socket
def work():
    time.sleep(0.002)
get_hub().threadpool.apply(work)
socket.getaddrinfo("localhost", 80)
timer = get_hub().loop.timer(0.001)
timer.start(work)
sleep(0.01)
timer.close()
""",
    "deadlock": """
from greenscope.runtime import LoopExit, Semaphore, joinall, sleep, spawn
one, other = Semaphore(1), Semaphore(1)
def left():
    with one:
        sleep(0.001)
        other.acquire()
def right():
    with other:
        sleep(0.001)
        one.acquire()
try:
    joinall([spawn(left), spawn(right)])
except LoopExit:
    pass
""",
    "raw": """
import greenlet
from greenscope.runtime import get_hub, sleep, spawn
def waits():
    sleep(0.001)
greenlet.greenlet(waits).switch()
greenlet.greenlet(waits).switch()
spawn(greenlet.greenlet(waits, parent=get_hub()).switch)
sleep(0.005)
""",
}
"""What each does, and how."""


def record(program: str, directory: Path, level: str = "teach") -> Path:
    """Run one of them, and give its ring."""
    script = directory / f"{program.replace(' ', '_')}.py"
    script.parent.mkdir(exist_ok=True)
    script.write_text(PROGRAMS[program])
    return record_script(script, directory / f"{script.stem}-{level}", level)


def record_script(script: Path, rings: Path, level: str = "teach") -> Path:
    """Run a program, and give its one ring."""
    environment = {**os.environ, "GREENSCOPE_DIR": str(rings), "GREENSCOPE_DETAIL": level}
    subprocess.run([sys.executable, str(script)], env=environment, check=True, timeout=60, stderr=subprocess.PIPE)
    (ring,) = rings.glob("*.gsr")
    return ring


PARK, SWITCH = event(Kind.GREENLET_PARK, MAIN, Wait.JOIN, aux=WORKER, site=9), event(Kind.GREENLET_SWITCH)
"""The main greenlet waits for worker-2, which runs."""


def told(*story: Event | int, names: Names | None = None) -> Replay:
    """A replay of a story, an event a millisecond; a number is that of records that were lost."""
    records = [
        one._replace(time_ns=(at + 1) * MS) if isinstance(one, Event) else Gap(one) for at, one in enumerate(story)
    ]
    replay = Replay(names or Names())
    for piece in batches(records):
        replay.add(piece)
    return replay
