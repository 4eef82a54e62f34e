"""Level teach: the functions the hub calls, and the source line at each step."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

import greenscope.runtime as runtime
from greenscope.runtime import Event, sleep, socket, spawn
from greenscope.trace import set_detail
from greenscope.trace.events import Exit, Kind, unpack
from greenscope.trace.reader import RingReader
from greenscope.trace.records import Event as Record


@pytest.fixture(autouse=True)
def teach() -> Iterator[None]:
    set_detail("teach")
    yield
    set_detail("switch")


def test_what_the_hub_calls_begins_and_ends_and_says_whether_it_raised(
    hub: runtime.Hub, pair: tuple[socket.socket, socket.socket], capsys: pytest.CaptureFixture[str]
) -> None:
    def asked_for() -> None: ...

    def fails() -> None:
        raise ValueError

    hub.run_callback(asked_for)
    hub.run_callback(fails)
    watcher = hub.loop.io(pair[0].fileno(), 1)
    fired = Event()

    def of_a_watcher() -> None:
        watcher.stop()
        fired.set()

    watcher.start(of_a_watcher)
    pair[1].send(b"x")
    fired.wait()
    resource = watcher.resource
    watcher.close()
    set_detail("switch")
    hub.run_callback(asked_for)
    sleep(0)
    assert hub.recorder.path is not None
    with contextlib.closing(RingReader(hub.recorder.path)) as reader:
        events = [event for event in reader.read() if isinstance(event, Record)]
        told: list[Any] = []
        for event in events:
            if event.kind == Kind.CALLBACK_BEGIN:
                number, name = unpack(event.arg)
                told.append((reader.string(name).rpartition(".")[2], event.reason, number))
            elif event.kind == Kind.CALLBACK_END:
                told.append(Exit(event.reason).name)
    assert told == [
        ("asked_for", 0, 0), "RETURNED", ("fails", 0, 0), "RAISED", ("of_a_watcher", 1, resource), "RETURNED",
    ]  # fmt: skip
    assert {event.greenlet for event in events if event.kind == Kind.CALLBACK_BEGIN} == {1}
    assert "ValueError" in capsys.readouterr().err


def test_a_proxy_that_cannot_be_asked_for_its_name_is_called_all_the_same(hub: runtime.Hub) -> None:
    called = Event()

    class Proxy:
        def __getattr__(self, name: str) -> Any:
            raise RuntimeError(name)

        def __call__(self) -> None:
            called.set()

    hub.run_callback(Proxy())
    assert called.wait(1)


def test_each_step_of_a_wait_has_its_line(hub: runtime.Hub, pair: tuple[socket.socket, socket.socket]) -> None:
    one, other = pair

    def receive() -> bytes:
        return other.recv(10)

    receiver = spawn(receive)
    sleep(0)
    one.send(b"x")
    receiver.join()
    assert hub.recorder.path is not None
    with contextlib.closing(RingReader(hub.recorder.path)) as reader:
        events = [event for event in reader.read() if isinstance(event, Record)]
        number = next(event.greenlet for event in events if event.kind == Kind.OP_BEGIN)
        mine = [event for event in events if event.greenlet == number]
        line = receive.__code__.co_firstlineno + 1
        steps = {Kind.OP_BEGIN, Kind.WATCHER_START, Kind.GREENLET_PARK, Kind.WATCHER_FIRE}
        lines = [(Kind(event.kind).name, getattr(reader.site(event.site), "line", 0)) for event in mine]
        assert {name: at for name, at in lines if Kind[name] in steps} == {step.name: line for step in steps}
        ready = [at for name, at in lines if name == "GREENLET_READY"]
        switched = [at for name, at in lines if name == "GREENLET_SWITCH"]
    assert ready == [receive.__code__.co_firstlineno + 3, line]
    assert switched == [receive.__code__.co_firstlineno + 3, line]
