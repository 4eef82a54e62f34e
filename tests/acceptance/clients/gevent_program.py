"""A program as people write them for gevent. Ported by replacing ``gevent`` with ``greenscope.runtime``, no more."""

# ruff: noqa: E402  (patching comes first, as everywhere)

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import json
import random
import socket
import urllib.request
from collections import Counter

import gevent
from gevent.event import AsyncResult, Event
from gevent.lock import BoundedSemaphore
from gevent.pool import Group, Pool
from gevent.pywsgi import WSGIServer
from gevent.queue import Empty, JoinableQueue, Queue
from gevent.server import StreamServer

SIZE = 200
PAGES = 1000
SPEAKERS = 50


class Site:
    """Pages that link to each other; the first SIZE requests beyond the top ones wait for each other."""

    def __init__(self) -> None:
        self.inside = 0
        self.peak = 0
        self.crowded = Event()

    def __call__(self, environ, start_response):
        number = int(environ["PATH_INFO"][1:])
        self.inside += 1
        self.peak = max(self.peak, self.inside)
        if self.inside >= SIZE // 2 + 1:
            self.crowded.set()
        if number > PAGES // 2:
            self.crowded.wait(20)
        self.inside -= 1
        start_response("200 OK", [("Content-Type", "text/plain")])
        links = [link for link in (2 * number, 2 * number + 1) if link <= PAGES]
        return [" ".join(map(str, links)).encode()]


def crawl() -> dict[str, object]:
    """A pool of crawlers over a site: every page once."""
    site = Site()
    server = WSGIServer(("127.0.0.1", 0), site, log=None)
    server.start()
    seen: Counter[int] = Counter()
    pool = Pool(SIZE)

    def visit(number: int) -> None:
        seen[number] += 1
        with urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/{number}", timeout=30) as response:
            for link in response.read().split():
                todo.put(int(link))
        todo.task_done()

    todo = JoinableQueue()
    todo.put(1)

    def feed() -> None:
        while True:
            pool.spawn(visit, todo.get())

    feeder = gevent.spawn(feed)
    todo.join()
    feeder.kill()
    pool.join()
    server.stop()
    return {"pages": len(seen), "twice": sum(count > 1 for count in seen.values()), "crowded": site.peak > 100}


def work() -> dict[str, object]:
    """Workers at one queue, whose results come back in their order through an AsyncResult each."""
    jobs: Queue = Queue()
    limit = BoundedSemaphore(20)
    at_once = [0, 0]

    def worker() -> int:
        done = 0
        while True:
            try:
                number, result = jobs.get(timeout=0.2)
            except Empty:
                return done
            with limit:
                at_once[0] += 1
                at_once[1] = max(at_once)
                gevent.sleep(0)
                at_once[0] -= 1
            if number % 10 == 3:
                result.set_exception(ValueError(number))
            else:
                result.set(number * number)
            done += 1

    workers = Group()
    for _ in range(SIZE):
        workers.start(gevent.Greenlet(worker))
    results = [AsyncResult() for _ in range(10 * SIZE)]
    for number, result in enumerate(results):
        jobs.put((number, result))
    gevent.wait(results)
    right = sum(r.get() == n * n if n % 10 != 3 else str(r.exception) == str(n) for n, r in enumerate(results))
    everybody = list(workers)
    workers.join()
    squares = Pool(50).map(lambda n: n * n, range(500)) == [n * n for n in range(500)]
    unordered = sorted(Pool(50).imap_unordered(str, range(500)), key=int) == [str(n) for n in range(500)]
    done = sum(one.value for one in everybody)
    return {"right": right, "done": done, "at_once": at_once[1], "maps": squares and unordered}


def time_out() -> dict[str, object]:
    """Timeouts of all kinds, by the hundred."""

    def patient(number: int) -> str:
        try:
            with gevent.Timeout(0.05 + random.random() / 20):
                gevent.sleep(30)
        except gevent.Timeout:
            pass
        with gevent.Timeout(0.05, False):
            Event().wait()
        return gevent.with_timeout(0.05, gevent.sleep, 30, timeout_value="late")

    greenlets = [gevent.spawn(patient, number) for number in range(SIZE)]
    sleeper = gevent.spawn(gevent.sleep, 30)
    killed = [gevent.spawn_later(30, print, "never") for _ in range(SIZE)]
    gevent.joinall(greenlets, raise_error=True)
    first = gevent.iwait([sleeper, gevent.spawn(int)])
    early = next(first).value
    gevent.killall([*killed, sleeper])
    return {"late": Counter(greenlet.value for greenlet in greenlets)["late"], "early": early, "dead": sleeper.dead}


def chat() -> dict[str, object]:
    """A chat room: whatever one says, all hear, and in one order."""
    rooms: dict[object, Queue] = {}
    full = Event()

    def handle(connection, address) -> None:
        mine = rooms[address] = Queue()
        writer = gevent.spawn(write, connection, mine)
        if len(rooms) == SIZE:
            full.set()
        for line in connection.makefile("rb"):
            for queue in rooms.values():
                queue.put(line)
        mine.put(StopIteration)
        writer.join()

    def write(connection, lines: Queue) -> None:
        for line in lines:
            connection.sendall(line)

    def client(number: int) -> tuple[bytes, ...]:
        with socket.create_connection(("127.0.0.1", server.server_port)) as sock, sock.makefile("rb") as file:
            full.wait()
            if number < SPEAKERS:
                sock.sendall(b"%d\n" % number)
            return tuple(file.readline() for _ in range(SPEAKERS))

    server = StreamServer(("127.0.0.1", 0), handle)
    server.start()
    clients = [gevent.spawn(client, number) for number in range(SIZE)]
    gevent.joinall(clients, raise_error=True)
    server.stop(timeout=10)
    heard = Counter(client.value for client in clients)
    [(lines, listeners)] = heard.items()
    return {"listeners": listeners, "lines": sorted(map(int, lines)) == list(range(SPEAKERS))}


if __name__ == "__main__":
    print(json.dumps({"crawl": crawl(), "work": work(), "time_out": time_out(), "chat": chat()}))
