"""The reader: it follows a ring that is written meanwhile, says what it lost, and trusts no file."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from greenscope.errors import RingFormatError
from greenscope.trace.events import Kind, Watch
from greenscope.trace.reader import RingReader
from greenscope.trace.records import Event, Gap
from greenscope.trace.ring_file import RingSizes
from greenscope.trace.ring_layout import HEADER, MAX_BURST, write_field
from greenscope.trace.ring_source import RingSource
from tests.trace.rings import SMALL, begin, new_ring


def counted(ring_path: Path) -> tuple[int, list[int]]:
    """Everything there is to read: how many were lost, and the others' ``arg``."""
    with contextlib.closing(RingReader(ring_path)) as reader:
        records = reader.read()
        return reader.lost, [record.arg for record in records if isinstance(record, Event)]


def test_what_is_new_comes_once(tmp_path: Path) -> None:
    ring, _ = new_ring("c", tmp_path / "a.gsr")
    begin(ring)
    with contextlib.closing(RingReader(tmp_path / "a.gsr")) as reader:
        assert len(reader.read()) == 5
        assert reader.read() == []
        ring.poll_begin(1)
        assert [record.kind for record in reader.read() if isinstance(record, Event)] == [Kind.POLL_BEGIN]


def test_a_ring_that_wrapped_begins_with_a_gap_that_says_how_many_were_lost(tmp_path: Path) -> None:
    ring, _ = new_ring("c", tmp_path / "a.gsr")
    for number in range(200):
        ring.watcher_start(Watch.READ, number, 0)
    lost, args = counted(tmp_path / "a.gsr")
    assert lost == 200 - SMALL.events + MAX_BURST
    assert args == list(range(lost, 200))


def test_a_reader_that_is_overtaken_gets_a_gap_in_the_middle(tmp_path: Path) -> None:
    ring, _ = new_ring("c", tmp_path / "a.gsr")
    with contextlib.closing(RingReader(tmp_path / "a.gsr")) as reader:
        for number in range(10):
            ring.watcher_start(Watch.READ, number, 0)
        assert len(reader.read()) == 10
        for number in range(10, 110):
            ring.watcher_start(Watch.READ, number, 0)
        records = reader.read()
        assert records[0] == Gap(100 - SMALL.events + MAX_BURST)
        assert reader.lost + 10 + len(records) - 1 == 110


def test_a_reader_that_wants_only_the_newest_skips_to_it_and_has_lost_nothing(tmp_path: Path) -> None:
    ring, _ = new_ring("c", tmp_path / "a.gsr")
    for number in range(200):
        ring.watcher_start(Watch.READ, number, 0)
    with contextlib.closing(RingReader(tmp_path / "a.gsr")) as reader:
        reader.skip_to(197)
        reader.skip_to(3)  # never back
        assert [record.arg for record in reader.read() if isinstance(record, Event)] == [197, 198, 199]
        reader.skip_to(1000)
        assert (reader.position, reader.lost, reader.read()) == (200, 0, [])


def test_a_limit_never_splits_an_event_from_its_text(tmp_path: Path) -> None:
    ring, _ = new_ring("c", tmp_path / "a.gsr")
    peer = b"a path of more than two text records, that is to say of more than 56 bytes"
    ring.poll_begin(1)
    ring.watcher_open(Watch.READ, 3, peer)
    ring.poll_end(1)
    for limit in range(2, 8):
        with contextlib.closing(RingReader(tmp_path / "a.gsr")) as reader:
            records: list[Event | Gap] = []
            for _ in range(8):
                records.extend(reader.read(limit=max(limit, 4) if records else limit))
            texts = [record.text for record in records if isinstance(record, Event)]
            assert texts == ["", peer.decode(), ""]


def test_reading_while_it_is_written_gives_every_event_once_or_counts_it_as_lost(tmp_path: Path) -> None:
    path = tmp_path / "a.gsr"
    ring, _ = new_ring("c", path, RingSizes(events=1024, slots=4, sites=8, string_bytes=512))
    total = 300_000

    def write() -> None:
        for number in range(total):
            ring.watcher_start(Watch.READ, number, number)

    thread = threading.Thread(target=write)
    thread.start()
    expected = 0
    with contextlib.closing(RingReader(path)) as reader:
        while expected < total:
            for record in reader.read(limit=700):
                if isinstance(record, Gap):
                    expected += record.lost
                else:
                    assert record.arg == expected | expected << 32
                    expected += 1
    thread.join()
    assert expected == total


def spoil(path: Path, field: str, value: int | bytes) -> None:
    data = bytearray(path.read_bytes())
    write_field(memoryview(data), field, value)
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda path: path.write_bytes(b"GIF89a"), "has 6 bytes"),
        (lambda path: spoil(path, "magic", b"GIF89a"), "magic"),
        (lambda path: spoil(path, "version", 99), "version 99"),
        (lambda path: spoil(path, "event_capacity", 100), "100 events, not a multiple of 16 up to"),
        (lambda path: spoil(path, "event_capacity", 1 << 40), "1099511627776 events, not a multiple of 16 up to"),
        (lambda path: spoil(path, "head", 1 << 40) or spoil(path, "event_capacity", 1 << 20), "its events end at byte"),
        (lambda path: spoil(path, "string_offset", 1 << 62), "its strings end at byte"),
        (
            lambda path: spoil(path, "start_monotonic_ns", 1 << 63),
            "it began 9223372036854775808 ns after its machine began",
        ),
        (lambda path: os.truncate(path, 5000), "cut short"),
    ],
)
def test_a_file_that_is_not_a_whole_ring_is_refused_and_named(
    tmp_path: Path, change: Callable[[Path], object], says: str
) -> None:
    path = tmp_path / "a.gsr"
    new_ring("c", path)
    change(path)
    with pytest.raises(RingFormatError, match=says) as raised:
        RingReader(path)
    assert str(path) in str(raised.value)


def test_ids_that_lead_nowhere_read_as_unknown(tmp_path: Path) -> None:
    ring, file = new_ring("c", tmp_path / "a.gsr")
    ring.string("kept")
    with contextlib.closing(RingReader(tmp_path / "a.gsr")) as reader:
        assert reader.string(0) == ""
        assert [reader.string(number) for number in (400, 1 << 31)] == ["?", "?"]
        assert reader.site(7) is None
        file.memory[HEADER["string_used"][0]] = 255
        assert reader.string(8 + 4) in ("?", "")


def test_a_string_is_never_longer_than_a_screen_can_take(tmp_path: Path) -> None:
    ring, _ = new_ring("c", tmp_path / "a.gsr", RingSizes(events=64, slots=4, sites=8, string_bytes=1 << 16))
    number = ring.string("x" * 50_000)
    with contextlib.closing(RingReader(tmp_path / "a.gsr")) as reader:
        assert reader.string(number) == "x" * 4096


def test_of_a_slot_that_changes_faster_than_it_is_read_it_is_told_whose_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ring, _ = new_ring("c", tmp_path / "a.gsr")
    _, main = begin(ring)
    with contextlib.closing(RingReader(tmp_path / "a.gsr")) as reader:
        read = RingSource.read

        def read_slowly(source: RingSource, offset: int, size: int) -> bytes:
            ring.switch(main)
            return read(source, offset, size)

        monkeypatch.setattr(RingSource, "read", read_slowly)
        assert [(slot.greenlet, slot.name, slot.state) for slot in reader.greenlets()] == [
            (1, "hub", "spawned"),
            (2, "main", "running"),
        ]
        slot = list(reader._source.slots())[1]
        assert not slot[0] & 1, "a copy is read as one that is whole"


def test_a_slot_that_is_being_written_for_ever_is_left_out(tmp_path: Path) -> None:
    ring, file = new_ring("c", tmp_path / "a.gsr")
    begin(ring)
    with contextlib.closing(RingReader(tmp_path / "a.gsr")) as reader:
        at = file.memory.find((1).to_bytes(8, "little"), 4096 + SMALL.string_bytes + SMALL.sites * 16) - 8
        file.memory[at] += 1
        assert [row.name for row in reader.greenlets()] == ["main"]


WRITER = """
import os, sys
from greenscope.trace.recorder import open_recorder
recorder = open_recorder(1, "MainThread")
recorder.poll_begin(1)
print(recorder.path, flush=True)
sys.stdin.read()
recorder.poll_end(2)
"""


def start_writer() -> tuple[subprocess.Popen[str], Path]:
    child = subprocess.Popen([sys.executable, "-c", WRITER], stdin=-1, stdout=-1, text=True)
    assert child.stdout is not None
    return child, Path(child.stdout.readline().strip())


def test_a_writer_is_live_until_it_is_killed_and_then_it_died() -> None:
    child, path = start_writer()
    with child, contextlib.closing(RingReader(path)) as reader:
        assert reader.state() == "live"
        child.send_signal(signal.SIGKILL)
        child.wait()
        assert reader.state() == "died"
        assert [record.kind for record in reader.read() if isinstance(record, Event)] == [Kind.POLL_BEGIN]


def test_a_writer_that_ends_in_good_order_says_so_and_when() -> None:
    child, path = start_writer()
    with child, contextlib.closing(RingReader(path)) as reader:
        child.communicate()
        assert reader.state() == "ended"
        last = reader.read()[-1]
        assert isinstance(last, Event)
        assert last.kind == Kind.POLL_END
        assert (reader.end_ns() or 0) > last.time_ns
