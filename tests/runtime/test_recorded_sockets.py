"""What the recording says of sockets at any level: who connected, and who was refused a wait."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

import greenscope.runtime as runtime
from greenscope.runtime import sleep, socket, spawn
from greenscope.runtime.hub import ConcurrentObjectUseError
from greenscope.trace.events import Kind, Origin, unpack
from greenscope.trace.reader import RingReader
from greenscope.trace.records import Event, GreenletSlot


def number(greenlet: Any) -> int:
    return int(greenlet._handle) & ((1 << 40) - 1)


def read(hub: runtime.Hub) -> tuple[list[Event], dict[int, GreenletSlot]]:
    assert hub.recorder.path is not None
    with contextlib.closing(RingReader(hub.recorder.path)) as reader:
        slots = {slot.greenlet: slot for slot in reader.greenlets()}
        return [event for event in reader.read() if isinstance(event, Event)], slots


def test_who_connected_is_in_the_table_and_in_the_watchers_record(hub: runtime.Hub):
    listener = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(listener.getsockname())
    server, _ = listener.accept()
    twin = server.dup()
    asks, serves = spawn(client.recv, 1), spawn(twin.recv, 1)
    sleep(0)
    events, slots = read(hub)
    assert slots[number(asks)].origin == Origin.CONNECTED
    assert slots[number(serves)].origin == Origin.ACCEPTED
    opened = {unpack(event.arg)[0]: event for event in events if event.kind == Kind.WATCHER_OPEN}
    for one in (asks, serves):
        slot = slots[number(one)]
        assert (opened[slot.resource].aux, opened[slot.resource].text) == (slot.origin, slot.peer)
    runtime.killall([asks, serves])
    for one in (listener, client, server, twin):
        one.close()


def test_of_a_pair_nobody_knows(hub: runtime.Hub, pair: Any):
    reader = spawn(pair[0].recv, 1)
    sleep(0)
    assert read(hub)[1][number(reader)].origin == Origin.UNKNOWN
    reader.kill()


@pytest.mark.parametrize("timeout", [None, 60])
def test_who_is_refused_a_wait_is_recorded_with_who_waits(hub: runtime.Hub, pair: Any, timeout: float | None):
    one = pair[0]
    one.settimeout(timeout)
    first = spawn(one.recv, 1)
    sleep(0)
    with pytest.raises(ConcurrentObjectUseError):
        one.recv(1)
    events, slots = read(hub)
    (refusal,) = [event for event in events if event.kind == Kind.WATCHER_REFUSE]
    assert (refusal.greenlet, refusal.aux) == (2, one.fileno() + 1)
    assert unpack(refusal.arg) == (slots[number(first)].resource, number(first))
    assert refusal.site
    first.kill()
