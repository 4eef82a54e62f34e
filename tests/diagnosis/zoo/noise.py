"""Two hundred greenlets that do what healthy ones do: the crowd among which one is not."""

from __future__ import annotations

import itertools

import greenscope.runtime as g
from greenscope.runtime import lock, queue, socket


def _echo(connection: socket.socket) -> None:
    while data := connection.recv(100):
        connection.sendall(data)


def _ask(connection: socket.socket, pause: float) -> None:
    connection.settimeout(5)
    while True:
        connection.sendall(b"what time is it?")
        connection.recv(100)
        g.sleep(pause)


def _put(items: queue.Queue, pause: float) -> None:
    for number in itertools.count():
        items.put(number)
        g.sleep(pause)


def _get(items: queue.Queue) -> None:
    while True:
        items.get(timeout=5)


def _share(turn: lock.RLock, pause: float) -> None:
    while True:
        with turn:
            g.sleep(0.001)
        g.sleep(pause)


def _hope(pause: float) -> None:
    while True:
        with g.Timeout(5):
            g.sleep(pause)


def start() -> list[g.Greenlet]:
    """Start them; they never end."""
    greenlets = []
    for number in range(25):
        pause = 0.02 + 0.003 * number
        ours, theirs = socket.socketpair()
        items, turn = queue.Queue(), lock.RLock()
        greenlets += [
            g.spawn(_echo, theirs), g.spawn(_ask, ours, pause),
            g.spawn(_put, items, pause), g.spawn(_get, items),
            g.spawn(_share, turn, pause), g.spawn(_share, turn, pause),
            g.spawn(_hope, pause), g.spawn(_hope, pause),
        ]  # fmt: skip
    return greenlets
