"""Whatever is written, and whenever it is read: each event once and whole, or exactly counted as lost."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from greenscope.trace.events import Kind, Watch
from greenscope.trace.reader import RingReader
from greenscope.trace.records import Event, Gap
from greenscope.trace.ring_file import RingFile, RingSizes
from greenscope.trace.ring_layout import MAX_BURST, TEXT_BYTES
from greenscope.trace.snapshot import snapshot
from tests.trace.rings import Writer, new_ring, watch
from tests.trace.test_snapshot import everything

PEER = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=60).map(lambda text: text.encode()[:190])
WRITES = st.one_of(st.integers(1, 40), PEER)  # so many plain events, or one with a text
READS = st.integers(1, 50).map(lambda limit: ("read", limit))
CAPACITIES = st.sampled_from([16, 32, 48, 80])
EXAMPLES = settings(max_examples=100, deadline=None)


@contextlib.contextmanager
def fresh_ring(events: int) -> Iterator[tuple[Writer, RingFile, Path]]:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "a.gsr"
        sizes = RingSizes(events=events, slots=16, sites=16, string_bytes=4096, watch=1024)
        ring, file = new_ring("c", path, sizes)
        try:
            yield ring, file, path
        finally:
            ring.detach()
            file.release()


class Written:
    """What the ring should say: the events by the number of their first record, and how many records each takes."""

    def __init__(self, ring: Writer) -> None:
        self._ring = ring
        self.events: dict[int, tuple[int, str]] = {}
        self.head = 0

    def write(self, what: int | bytes) -> None:
        if isinstance(what, int):
            for _ in range(what):
                self._ring.watcher_start(Watch.READ, self.head, 7)
                self.events[self.head] = self.head, ""
                self.head += 1
            return
        self._ring.watcher_open(Watch.WRITE, self.head, what)
        self.events[self.head] = self.head, what.decode("utf-8", "replace")
        self.head += 1 + -(-len(what) // TEXT_BYTES)

    def first_from(self, number: int) -> int:
        """The first event that begins at this record or later."""
        return min((start for start in self.events if start >= number), default=self.head)


@EXAMPLES
@given(CAPACITIES, st.lists(st.one_of(WRITES, READS), max_size=30))
def test_each_event_is_read_once_and_whole_or_counted_as_lost(capacity: int, steps: list[object]) -> None:
    with fresh_ring(capacity) as (ring, _, path), contextlib.closing(RingReader(path)) as reader:
        written = Written(ring)
        at = 0
        for step in [*steps, *[("read", 100)] * 3]:
            if isinstance(step, int | bytes):
                written.write(step)
                continue
            assert isinstance(step, tuple)
            records = reader.read(step[1])
            kept = written.first_from(max(at, written.head + MAX_BURST - capacity))
            if kept > at:
                assert records.pop(0) == Gap(kept - at)
                at = kept
            assert len(records) <= step[1]
            for record in records:
                assert isinstance(record, Event)
                number, text = written.events[at]
                kind = Kind.WATCHER_OPEN if record.reason == Watch.WRITE else Kind.WATCHER_START
                assert (record.kind, record.arg >> 32 if kind == Kind.WATCHER_OPEN else record.arg & 0xFFFFFFFF) == (
                    kind,
                    number,
                )
                assert record.text == text
                at = written.first_from(at + 1)
            assert reader.position == at
        assert at == reader.head == written.head


TIMES = st.lists(st.integers(1, 40), max_size=60)


@EXAMPLES
@given(TIMES, TIMES, st.lists(st.integers(1, 9), min_size=1), st.lists(st.booleans(), max_size=60))
def test_reading_in_pieces_gives_what_reading_at_once_gives(
    hub: list[int], watchdog: list[int], limits: list[int], texts: list[bool]
) -> None:
    """Also where clocks go back, and with the watchdog's events among them."""
    with fresh_ring(256) as (ring, file, path):
        for number, time in enumerate(hub):
            ring.clock_ns = time
            ring.watcher_open(Watch.READ, number, b"peer %d" % number if number < len(texts) and texts[number] else b"")
        for number, time in enumerate(watchdog):
            watch(file, Kind.STALL_BEGIN, time, b"%d" % number * 20, arg=number)
        with contextlib.closing(RingReader(path)) as reader:
            whole = reader.read()
            assert reader.read() == []
        with contextlib.closing(RingReader(path)) as reader:
            pieces: list[Event | Gap] = []
            while reader.position < reader.head or not pieces:
                for limit in limits:
                    pieces.extend(reader.read(limit))
                if not hub and not watchdog:
                    break
            pieces.extend(reader.read())
        assert pieces == whole
        assert [event.arg for event in whole if isinstance(event, Event) and event.kind == Kind.STALL_BEGIN] == list(
            range(len(watchdog))
        )
        assert len(whole) == len(hub) + len(watchdog)


@EXAMPLES
@given(st.lists(st.one_of(st.sampled_from(["hub", "watch"]), st.integers(1, 5)), max_size=60))
def test_the_watchdogs_events_come_once_each_and_no_earlier_than_they_are(steps: list[str | int]) -> None:
    with fresh_ring(256) as (ring, file, path), contextlib.closing(RingReader(path)) as reader:
        records: list[Event | Gap] = []
        for time, step in enumerate(steps, start=1):
            if step == "hub":
                ring.clock_ns = time
                ring.poll_begin(1)
            elif step == "watch":
                watch(file, Kind.STALL_END, time, b"text of %d" % time)
            else:
                assert isinstance(step, int)
                records.extend(reader.read(step))
        while new := reader.read(3):
            records.extend(new)
        times = [event.time_ns for event in records if isinstance(event, Event)]
        assert times == [time for time, step in enumerate(steps, start=1) if isinstance(step, str)]
        for event in records:
            assert isinstance(event, Event)
            assert event.text == (f"text of {event.time_ns}" if event.kind == Kind.STALL_END else "")


@EXAMPLES
@given(
    CAPACITIES,
    st.lists(st.one_of(WRITES, st.sampled_from(["spawn", "exit", "switch", "park", "stall"])), max_size=40),
)
def test_a_snapshot_of_whatever_was_written_reads_as_its_ring(capacity: int, steps: list[object]) -> None:
    with fresh_ring(capacity) as (ring, file, path):
        written = Written(ring)
        living = [ring.spawn(1, ring.string("hub"), 0, 0)]
        for number, step in enumerate(steps):
            if isinstance(step, int | bytes):
                written.write(step)
            elif step == "spawn":
                living.append(ring.spawn(0, ring.string(f"greenlet {number}"), 1, living[0]))
            elif step == "exit":
                ring.exit(living.pop() if len(living) > 1 else 0, 0)
            elif step == "switch":
                ring.switch(living[number % len(living)])
            elif step == "park":
                ring.park(1, number, number, number, b"peer")
            else:
                watch(file, Kind.STALL_BEGIN, 1000, b"a.py\t1\tf\n" * (number % 30))
        copy = path.with_name("b.gsr")
        snapshot(path, copy)
        assert everything(copy) == everything(path)
