"""The traced service: a small shop, written as any green service is.

    python -m greenscope.demo.service '{"database": PORT, "licences": PORT, "archive": PORT}'

Most of its greenlets are healthy. So that there is something to find, ``report`` holds the hub for
a few hundred milliseconds now and then, ``licence-check`` waits without a deadline on a peer that
never answers, and the database is sometimes slower than the timeout that is set on it.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import sys
import time

from greenscope.demo.parent import end_with_parent
from greenscope.runtime import Greenlet, Timeout, getcurrent, joinall, sleep, socket, spawn
from greenscope.runtime.event import Event
from greenscope.runtime.lock import Lock
from greenscope.runtime.queue import Queue
from greenscope.runtime.server import StreamServer

DATABASE_TIMEOUT = 0.12
POOL_SIZE = 4


class Shop:
    """The service's state: a pool of database connections, a stock behind a lock, a journal."""

    def __init__(self, ports: dict[str, int]) -> None:
        self.ports = ports
        self.pool: Queue[socket.socket] = Queue()
        for _ in range(POOL_SIZE):
            self.pool.put(self.connect("database"))
        self.stock = Lock()
        self.journal: Queue[str] = Queue()
        self.prices_changed = Event()

    def connect(self, peer: str) -> socket.socket:
        """A connection to one of the backend's ports."""
        return socket.create_connection(("127.0.0.1", self.ports[peer]))

    def query(self, question: str) -> bytes:
        """Ask the database, over a connection of the pool.

        Raises:
            Timeout: it took too long; the connection is replaced.
        """
        connection = self.pool.get()
        answer = b""
        try:
            with Timeout(DATABASE_TIMEOUT):
                connection.sendall(question.encode() + b"\n")
                while not answer.endswith(b"\n"):
                    answer += connection.recv(4096)
        except Timeout:
            connection.close()
            connection = self.connect("database")
            raise
        finally:
            self.pool.put(connection)
        return answer

    def handle(self, connection: socket.socket, address: tuple[str, int]) -> None:
        """Serve one customer's connection."""
        current = getcurrent()
        assert isinstance(current, Greenlet)
        current.name = f"customer :{address[1]}"
        with connection, connection.makefile("rb") as lines, contextlib.suppress(ConnectionError):
            for line in lines:
                connection.sendall(self.answer(line.decode().strip()))

    def answer(self, request: str) -> bytes:
        """One request's answer."""
        try:
            rows = self.query(request)
            if request.endswith("/checkout"):
                with self.stock:
                    self.query("update stock")
                self.journal.put(request)
        except Timeout:
            return b"504 the database is slow\n"
        return b"200 %d\n" % len(rows)

    # -- what else runs -------------------------------------------------------------------------

    def report(self) -> None:
        """Renders a report without ever yielding: the one that hogs the hub."""
        while True:
            sleep(random.uniform(2.5, 4.5))
            render(random.uniform(0.12, 0.45))

    def licence_check(self) -> None:
        """Waits for an answer that never comes, and set no timeout."""
        connection = self.connect("licences")
        connection.sendall(b"may I?\n")
        connection.recv(1024)

    def metrics(self) -> None:
        """A tick, four times a second."""
        while True:
            sleep(0.25)
            self.prices_changed.set()
            self.prices_changed.clear()

    def cache_warmer(self) -> None:
        """Waits for the tick, then asks the database."""
        while True:
            self.prices_changed.wait()
            try:
                self.query("prices")
            except Timeout:
                self.journal.put("prices are late")

    def journal_writer(self) -> None:
        """Takes what others put into the journal."""
        while True:
            self.journal.get()
            sleep(0.002)

    def exporter(self) -> None:
        """Sends more than the archive reads: waits to write."""
        connection = self.connect("archive")
        block = b"x" * (1 << 20)
        while True:
            connection.sendall(block)
            sleep(0.5)

    def nightly(self) -> None:
        """Spawns a few children now and then, and joins them."""
        while True:
            sleep(1.5)
            joinall([spawn(self.count, part) for part in range(3)])

    def count(self, part: int) -> None:
        """A part of the nightly count."""
        for _ in range(part + 2):
            sleep(0.05)


def render(seconds: float) -> str:
    """Work that takes so long, on any machine, and does not yield."""
    rows: list[str] = []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        rows.append(f"<tr><td>{len(rows)}</td><td>{len(rows) * 7 % 11}</td></tr>")
    return "".join(rows)


def start(shop: Shop) -> list[Greenlet]:
    """Spawn the shop's own greenlets."""
    jobs = {
        "report": shop.report,
        "licence-check": shop.licence_check,
        "metrics": shop.metrics,
        "cache-warmer": shop.cache_warmer,
        "journal": shop.journal_writer,
        "exporter": shop.exporter,
        "nightly": shop.nightly,
    }
    greenlets = []
    for name, job in jobs.items():
        greenlet = spawn(job)
        greenlet.name = name
        greenlets.append(greenlet)
    return greenlets


def main() -> None:
    """Serve until the parent is gone."""
    shop = Shop(json.loads(sys.argv[1]))
    start(shop)
    server = StreamServer(("127.0.0.1", 0), shop.handle)
    server.start()
    print(json.dumps({"pid": os.getpid(), "port": server.address[1]}), flush=True)
    server.serve_forever()


if __name__ == "__main__":
    end_with_parent()
    main()
