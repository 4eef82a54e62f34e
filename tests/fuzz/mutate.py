"""Damages rings: what a file may be by accident, and what somebody may make of it on purpose."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

from greenscope.trace.events import Kind, Spawn, Wait, Watch
from greenscope.trace.ring_file import RingSizes
from greenscope.trace.ring_layout import EVENT, HEADER, SITE, SLOT_SIZE, read_field, write_field
from greenscope.trace.snapshot import snapshot
from tests.trace.rings import new_ring, watch

__all__ = ["mutated", "seeds"]

_NUMBERS = {"I": 4, "Q": 8}
_FIELDS = [(name, _NUMBERS[code]) for name, (_, code) in HEADER.items() if code in _NUMBERS]
_SECTIONS = {
    "event_offset": ("event_capacity", EVENT.size),
    "watch_offset": ("watch_capacity", EVENT.size),
    "slot_offset": ("slot_used", SLOT_SIZE),
    "site_offset": ("site_count", SITE.size),
    "string_offset": ("string_used", 1),
}


def seeds(directory: Path) -> list[bytes]:
    """Rings of every sort: young, wrapped, closed, copied, with all kinds of events."""
    found = []
    for name, rounds in (("young", 3), ("wrapped", 100)):
        path = directory / f"{name}.gsr"
        ring, file = new_ring("c", path, RingSizes(events=256, slots=16, sites=32, string_bytes=2048, watch=256))
        _write(ring, file, rounds)
        found.append(path.read_bytes())
        snapshot(path, directory / "copy.gsr")
        found.append((directory / "copy.gsr").read_bytes())
        file.close()
        ring.detach()
        file.release()
        found.append(path.read_bytes())
    return found


def _write(ring, file, rounds: int) -> None:
    hub = ring.spawn(Spawn.HUB, ring.string("hub"), 0, 0)
    main = ring.spawn(Spawn.MAIN, ring.string("main"), 0, 0)
    ring.switch(main)
    for number in range(rounds):
        ring.clock_ns += 1_000_000
        request = ring.request_begin(b"id\nGET /orders/%d?all=1\n00-%032x-%016x-01 %016x" % (number, 7, 8, 9))
        worker = ring.spawn(Spawn.GREENLET, ring.string(f"worker {number % 9}"), 1, main)
        ring.ready(worker, 4, main)
        resource = ring.watcher_open(Watch.READ, number, b"a peer of more than one text record, 127.0.0.1:80")
        ring.wait(Watch.READ, resource, number, 1500, b"127.0.0.1:80")
        ring.poll_begin(1)
        ring.fire(main, Watch.READ, resource, number)
        ring.poll_end(1)
        ring.switch(worker)
        job = ring.job_put(0, 10, "getaddrinfo", b"db.internal")
        ring.job_end(job, 0, 2000)
        timeout = ring.timeout_start(0, 100)
        ring.clock_ns += 200_000_000  # long enough for a stall
        watch(file, Kind.STALL_BEGIN, ring.clock_ns, b"a.py\t1\tf\nb.py\t2\tg", arg=ring.clock_ns - 1000)
        watch(file, Kind.STALL_END, ring.clock_ns + 10, arg=1000)
        ring.timeout_cancel(0, timeout)
        ring.park(Wait.LOCK, 3, -1, 0, b"")
        ring.switch(main)
        ring.watcher_close(Watch.READ, resource, number)
        if number % 2:
            ring.exit(worker, number % 3)
        if number % 3:
            ring.request_end(request, 200 + number, number % 3, "KeyError" if number % 4 else "")
    ring.ready(hub, 0, 0)
    ring.loop_exit(main, 2)


def mutated(seed: bytes, rng: random.Random) -> bytearray:
    """The ring with a few things wrong."""
    data = bytearray(seed)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 5, 10, 40))):
        if len(data) < 4096:
            return data
        rng.choices(_MUTATIONS, _WEIGHTS)[0](data, rng)
    return data


def _number(size: int, rng: random.Random) -> int:
    most = (1 << 8 * size) - 1
    edge = 1 << rng.randrange(8 * size)
    return min(max(rng.choice((0, 1, most, edge, edge - 1, edge + rng.randrange(64), rng.randint(0, most))), 0), most)


def _set_field(data: bytearray, rng: random.Random) -> None:
    name, size = rng.choice(_FIELDS)
    write_field(memoryview(data), name, _number(size, rng))


def _nudge_field(data: bytearray, rng: random.Random) -> None:
    name, size = rng.choice(_FIELDS)
    value = read_field(memoryview(data), name) + rng.choice((-64, -32, -16, -8, -1, 1, 4, 8, 16, 32, 128))
    write_field(memoryview(data), name, value % (1 << 8 * size))


def _swap_fields(data: bytearray, rng: random.Random) -> None:
    (name, size), (other, _) = rng.sample(_FIELDS, 2)
    write_field(memoryview(data), name, read_field(memoryview(data), other) % (1 << 8 * size))


def _in_section(data: bytearray, rng: random.Random) -> None:
    """Overwrite a number somewhere in a section: a kind, an id, a length, a time, a sequence number."""
    offset, (count, size) = rng.choice(list(_SECTIONS.items()))
    used = read_field(memoryview(data), count) * size
    width = rng.choice((1, 2, 4, 8))
    at = read_field(memoryview(data), offset) + rng.randrange(max(used, 1)) // width * width
    if at + width <= len(data):
        data[at : at + width] = _number(width, rng).to_bytes(width, "little")


def _kind(data: bytearray, rng: random.Random) -> None:
    capacity = read_field(memoryview(data), "event_capacity")
    at = read_field(memoryview(data), "event_offset") + rng.randrange(max(capacity, 1)) * EVENT.size + 16
    if at + 2 <= len(data):
        data[at : at + 2] = bytes((rng.choice((0, *Kind, rng.randrange(256))), rng.randrange(256)))


def _flip(data: bytearray, rng: random.Random) -> None:
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _splice(data: bytearray, rng: random.Random) -> None:
    length = rng.randrange(1, 512)
    source, target = rng.randrange(len(data)), rng.randrange(len(data))
    piece = data[source : source + length] if rng.random() < 0.7 else rng.randbytes(length)
    data[target : target + len(piece)] = piece


def _cut(data: bytearray, rng: random.Random) -> None:
    del data[rng.randrange(len(data)) :]


def _extend(data: bytearray, rng: random.Random) -> None:
    data.extend(bytes(rng.randrange(1 << 20)))


_MUTATIONS: list[Callable[[bytearray, random.Random], None]] = [
    _set_field, _nudge_field, _swap_fields, _in_section, _kind, _flip, _splice, _cut, _extend,
]  # fmt: skip
_WEIGHTS = [6, 4, 2, 8, 4, 4, 3, 1, 1]
