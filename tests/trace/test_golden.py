"""The model, stated: what a wait leaves in the ring, event for event, on the right ids, with the right line.

Real sockets under the real hub, in a process of its own, whose ring is then read.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from greenscope.trace.analysis import State, Timeline
from greenscope.trace.events import Kind, Ready, Timeouts, Wait, Watch, unpack
from greenscope.trace.reader import RingReader
from greenscope.trace.records import Event, Site
from tests.trace.analysis.batches import apply

PREAMBLE = """
from greenscope.runtime import Timeout, getcurrent, sleep, socket, spawn, spawn_later
from greenscope.runtime.lock import Semaphore
left, right = socket.socketpair()
def marker(name):  # what comes after this is what the test is about
    getcurrent().name = name
"""


@dataclass
class Recording:
    """What a program left: its events, and what their numbers mean."""

    events: list[Event]
    names: dict[int, str]
    sites: dict[int, Site]
    source: list[str]
    timeline: Timeline

    def named(self, name: str) -> int:
        """The number of the greenlet of that name."""
        (number,) = {number for number, given in self.names.items() if given == name}
        return number

    def of(self, name: str) -> list[str]:
        """A greenlet's own events in words, from where it was named on."""
        greenlet = self.named(name)
        mine = [event for event in self.events if event.greenlet == greenlet]
        named = max(index for index, event in enumerate(mine) if event.kind == Kind.GREENLET_NAME)
        return [self.word(event) for event in mine[named + 1 :]]

    def waits(self, name: str) -> list[str]:
        """The same, without the watchers that it opens."""
        return [word for word in self.of(name) if not word.startswith("watcher_open")]

    def word(self, event: Event) -> str:
        word = Kind(event.kind).name.lower().removeprefix("greenlet_")
        reasons = {
            Kind.GREENLET_PARK: Wait,
            Kind.GREENLET_READY: Ready,
            Kind.WATCHER_OPEN: Watch,
            Kind.WATCHER_START: Watch,
            Kind.WATCHER_FIRE: Watch,
            Kind.WATCHER_STOP: Watch,
            Kind.WATCHER_CLOSE: Watch,
            Kind.TIMEOUT_START: Timeouts,
            Kind.TIMEOUT_FIRE: Timeouts,
            Kind.TIMEOUT_CANCEL: Timeouts,
        }
        reason = reasons.get(Kind(event.kind))
        return word if reason is None else f"{word}({reason(event.reason).name.lower()})"

    def one(self, name: str, kind: Kind) -> Event:
        """A greenlet's only event of a kind."""
        (event,) = [e for e in self.events if e.greenlet == self.named(name) and e.kind == kind]
        return event

    def line(self, event: Event) -> str:
        """The source line an event's site stands for."""
        return self.source[self.sites[event.site].line - 1].strip()


Record = Callable[[str], Recording]

# What it does that is raised in.
ENDED = ("throw", "watcher_stop(read)")

# What does the waiting and the writing: each in C, or as it is written in Python.
WITHOUT = {"in C": (), "the ring in Python": ("trace._ring",), "parking in Python": ("runtime._parking",)}


@pytest.fixture(params=WITHOUT)
def record(request: pytest.FixtureRequest, tmp_path: Path, trace_directory: Path) -> Record:
    """Runs a program to its end, and reads what it left."""
    without = "".join(f'sys.modules["greenscope.{name}"] = None\n' for name in WITHOUT[request.param])

    def run(program: str) -> Recording:
        script = tmp_path / "program.py"
        script.write_text(f"import sys\n{without}{PREAMBLE}{textwrap.dedent(program)}")
        subprocess.run([sys.executable, script], check=True, timeout=30)
        (path,) = trace_directory.glob("*.gsr")
        with contextlib.closing(RingReader(path)) as reader:
            records = reader.read()
            events = [record for record in records if isinstance(record, Event)]
            assert len(events) == len(records)
            timeline = Timeline(0, reader.string)
            apply(timeline, records)
            assert timeline.illegal == 0
            names = {e.greenlet: reader.string(e.arg) for e in events if e.kind == Kind.GREENLET_NAME}
            sites = {e.site: site for e in events if (site := reader.site(e.site)) is not None}
        return Recording(events, names, sites, script.read_text().splitlines(), timeline)

    return run


def test_recv_on_an_empty_socket_with_a_timeout_whose_peer_then_sends(record: Record) -> None:
    recording = record("""
        def receive():
            left.settimeout(5)
            marker("receiver")
            assert left.recv(10) == b"news"
        receiver = spawn(receive)
        sleep(0)
        right.sendall(b"news")
        receiver.get()
        """)
    assert recording.waits("receiver") == [
        "timeout_start(socket)",
        "watcher_start(read)",
        "park(read)",
        "watcher_fire(read)",
        "ready(watcher)",
        "switch",
        "watcher_stop(read)",
        "timeout_cancel(socket)",
        "exit",
    ]
    park = recording.one("receiver", Kind.GREENLET_PARK)
    resource, milliseconds = unpack(park.arg)
    started = recording.one("receiver", Kind.TIMEOUT_START)
    timeout, granted = unpack(started.arg)
    fd = park.aux - 1
    assert recording.line(park) == recording.line(started) == 'assert left.recv(10) == b"news"'
    assert recording.sites[park.site].function == "receive"
    assert granted == 5000
    assert 4900 <= milliseconds <= 5000
    for kind in (Kind.WATCHER_START, Kind.WATCHER_FIRE, Kind.WATCHER_STOP):
        assert unpack(recording.one("receiver", kind).arg) == (resource, fd)
    ready = [e for e in recording.events if e.greenlet == park.greenlet and e.kind == Kind.GREENLET_READY][-1]
    assert ready.arg == resource
    assert recording.one("receiver", Kind.TIMEOUT_CANCEL).arg == timeout
    assert started.site == park.site
    (waited,) = [s for s in recording.timeline.lanes[park.greenlet].spans() if s.state is State.WAITING]
    assert (waited.reason, waited.fd, waited.resource) == (Wait.READ, fd, resource)
    assert waited.deadline == park.time_ns + milliseconds * 1_000_000


@pytest.mark.parametrize("record", ["in C"], indirect=True)
def test_a_sockets_wait_and_its_timeout_begin_at_one_time_and_end_at_one(record: Record) -> None:
    """Each is one call, which asks for the time once."""
    recording = record("""
        def receive():
            left.settimeout(5)
            marker("receiver")
            left.recv(10)
        receiver = spawn(receive)
        sleep(0)
        right.sendall(b"news")
        receiver.get()
        """)
    begins = Kind.TIMEOUT_START, Kind.WATCHER_START, Kind.GREENLET_PARK
    ends = Kind.WATCHER_STOP, Kind.TIMEOUT_CANCEL
    for kinds in (begins, ends):
        assert len({recording.one("receiver", kind).time_ns for kind in kinds}) == 1


def ended_by_its_timeout(what: str) -> list[str]:
    """A wait to read that only its timeout ends."""
    timeout = f"timeout_start({what})", f"timeout_fire({what})"
    return [timeout[0], "watcher_start(read)", "park(read)", timeout[1], "ready(timeout)", *ENDED, "exit"]


def test_a_timeout_that_fires(record: Record) -> None:
    recording = record("""
        def receive():
            marker("receiver")
            try:
                with Timeout(0.02):
                    left.recv(10)
            except Timeout:
                pass
        spawn(receive).get()
        """)
    assert recording.waits("receiver") == ended_by_its_timeout("scope")
    started, fired = (recording.one("receiver", kind) for kind in (Kind.TIMEOUT_START, Kind.TIMEOUT_FIRE))
    timeout, granted = unpack(started.arg)
    assert (granted, fired.arg) == (20, timeout)
    assert fired.time_ns - started.time_ns >= 20_000_000
    ready = [e for e in recording.events if e.greenlet == fired.greenlet and e.kind == Kind.GREENLET_READY][-1]
    assert ready.arg == timeout
    assert recording.line(started) == "with Timeout(0.02):"
    assert recording.line(recording.one("receiver", Kind.GREENLET_PARK)) == "left.recv(10)"


def test_a_sockets_timeout_that_fires_is_not_stopped(record: Record) -> None:
    recording = record("""
        def receive():
            left.settimeout(0.02)
            marker("receiver")
            try:
                left.recv(10)
            except TimeoutError:
                pass
        spawn(receive).get()
        """)
    assert recording.waits("receiver") == ended_by_its_timeout("socket")
    started, fired = (recording.one("receiver", kind) for kind in (Kind.TIMEOUT_START, Kind.TIMEOUT_FIRE))
    assert unpack(started.arg) == (fired.arg, 20)
    assert fired.time_ns - started.time_ns >= 19_000_000


@pytest.mark.parametrize(
    ("ends", "said"),
    [
        ("with Timeout(0.02, False): left.recv(10)", ["timeout_fire(scope)", "ready(timeout)"]),
        ("spawn_later(0.001, getcurrent().kill); left.recv(10)", ["ready(kill)"]),
    ],
    ids=["a scope around it is over", "killed"],
)
def test_a_sockets_timeout_is_stopped_when_something_else_ends_the_wait(
    ends: str, said: list[str], record: Record
) -> None:
    recording = record(f"""
        def receive():
            left.settimeout(5)
            marker("receiver")
            {ends}
        spawn(receive).join()
        """)
    besides = {"timeout_start(scope)", "watcher_start(timer)"}
    words = [word for word in recording.waits("receiver") if word not in besides]
    assert words == [
        "timeout_start(socket)",
        "watcher_start(read)",
        "park(read)",
        *said,
        *ENDED,
        "timeout_cancel(socket)",
        "exit",
    ]
    (started,) = [
        event for event in recording.events if event.kind == Kind.TIMEOUT_START and event.reason == Timeouts.SOCKET
    ]
    assert unpack(started.arg) == (recording.one("receiver", Kind.TIMEOUT_CANCEL).arg, 5000)


def test_a_sockets_timeout_is_at_its_line_alone_though_whole_stacks_are_recorded(
    record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Timeouts are counted by their line, from wherever it was called."""
    monkeypatch.setenv("GREENSCOPE_STACKS", "1")
    recording = record("""
        def receive():
            left.settimeout(5)
            marker("receiver")
            left.recv(10)
        def serve():
            receive()
        spawn(serve)
        sleep(0)
        """)
    started, parked = (recording.one("receiver", kind) for kind in (Kind.TIMEOUT_START, Kind.GREENLET_PARK))
    assert recording.line(started) == recording.line(parked) == "left.recv(10)"
    assert recording.sites[started.site].caller == 0 != recording.sites[parked.site].caller


def test_a_handler_that_waits_when_a_sockets_wait_begins_has_a_timeout_of_its_own(record: Record) -> None:
    recording = record("""
        from greenscope.runtime.timeout import WaitTimeout
        start = WaitTimeout.start
        def interrupted(timeout):  # as by a signal, whose handler then waits
            start(timeout)
            if timeout.seconds == 0.02:
                right.recv(1)
        WaitTimeout.start = interrupted
        right.settimeout(5)
        left.settimeout(0.02)
        def receive():
            marker("receiver")
            try:
                left.recv(1)
            except TimeoutError:
                pass
        spawn(receive).get()
        """)
    started, stopped = (recording.one("receiver", kind) for kind in (Kind.TIMEOUT_START, Kind.TIMEOUT_CANCEL))
    assert unpack(started.arg) == (stopped.arg, 5000)
    assert not [event for event in recording.events if event.kind == Kind.TIMEOUT_FIRE]


def test_a_wait_that_is_refused_leaves_nothing(record: Record) -> None:
    recording = record("""
        from greenscope.runtime import get_hub
        from greenscope.runtime.socket_waiting import wait
        watcher = get_hub().loop.io(left.fileno(), 1)
        watcher.close()
        def receive():
            marker("receiver")
            try:
                wait(watcher, 5)
            except OSError:
                pass
        spawn(receive).get()
        """)
    assert recording.of("receiver") == ["exit"]


def test_close_in_another_greenlet(record: Record) -> None:
    recording = record("""
        def receive():
            marker("receiver")
            try:
                left.recv(10)
            except OSError as error:
                assert error.errno == 9
                assert "closed in another greenlet" in str(error)
            else:
                sys.exit(1)
        def close():
            marker("closer")
            left.close()
        receiver = spawn(receive)
        closer = spawn(close)
        receiver.get()
        """)
    assert recording.waits("receiver") == [
        "watcher_start(read)",
        "park(read)",
        "ready(close)",
        "throw",
        "watcher_stop(read)",
        "exit",
    ]
    ready = [e for e in recording.events if e.greenlet == recording.named("receiver") and e.kind == Kind.GREENLET_READY]
    assert ready[-1].arg == recording.named("closer")
    closed = [e for e in recording.events if e.kind == Kind.WATCHER_CLOSE]
    resource = unpack(recording.one("receiver", Kind.GREENLET_PARK).arg)[0]
    assert resource in {unpack(event.arg)[0] for event in closed}


def test_send_on_a_full_buffer(record: Record) -> None:
    recording = record("""
        sent = 0
        left.settimeout(0)
        try:
            while True:
                sent += left.send(b"x" * 65536)
        except BlockingIOError:
            left.settimeout(None)
        def fill():
            marker("sender")
            assert left.send(b"y") == 1
        sender = spawn(fill)
        sleep(0)
        while sent:
            sent -= len(right.recv(min(sent, 1 << 20)))
        sender.get()
        """)
    assert recording.waits("sender") == [
        "watcher_start(write)",
        "park(write)",
        "watcher_fire(write)",
        "ready(watcher)",
        "switch",
        "watcher_stop(write)",
        "exit",
    ]
    assert recording.line(recording.one("sender", Kind.GREENLET_PARK)) == 'assert left.send(b"y") == 1'


def test_a_sleep_is_a_timer_and_its_end_is_not_a_deadline(record: Record) -> None:
    recording = record("""
        def nap():
            marker("napper")
            sleep(0.015)
        spawn(nap).get()
        """)
    assert recording.waits("napper") == [
        "watcher_start(timer)",
        "park(timer)",
        "watcher_fire(timer)",
        "ready(watcher)",
        "switch",
        "watcher_stop(timer)",
        "exit",
    ]
    assert unpack(recording.one("napper", Kind.WATCHER_START).arg)[1] == 15
    assert unpack(recording.one("napper", Kind.GREENLET_PARK).arg)[1] == 0


def test_a_lock_says_who_handed_it_over(record: Record) -> None:
    recording = record("""
        lock = Semaphore(0)
        def wait():
            marker("waiter")
            lock.acquire()
        def give():
            marker("giver")
            lock.release()
        waiter, giver = spawn(wait), spawn(give)
        waiter.get()
        """)
    assert recording.of("waiter") == ["park(lock)", "ready(greenlet)", "switch", "exit"]
    ready = [e for e in recording.events if e.greenlet == recording.named("waiter") and e.kind == Kind.GREENLET_READY]
    assert ready[-1].arg == recording.named("giver")


def test_every_poll_of_the_loop_is_there(record: Record) -> None:
    recording = record("sleep(0.001)\nsleep(0)")
    polls = [event for event in recording.events if event.kind in (Kind.POLL_BEGIN, Kind.POLL_END)]
    assert [event.kind for event in polls] == [Kind.POLL_BEGIN, Kind.POLL_END] * (len(polls) // 2)
    assert {event.greenlet for event in polls} == {1}
    assert (polls[0].aux, polls[1].aux) == (1, 1)
