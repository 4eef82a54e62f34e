"""The times of records are those of the kernel's clock, however they are read."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import pytest

from greenscope.trace.events import Exit, Kind
from greenscope.trace.reader import RingReader
from greenscope.trace.records import Event, Gap
from greenscope.trace.ring_file import RingSizes
from tests.trace.rings import WRITERS, begin, new_ring

_NEAR = 1000  # ns that the two may differ: half a microsecond is a kernel's clock that is being slewed


@pytest.mark.parametrize("writer", WRITERS)
def test_each_record_has_the_time_at_which_it_was_made(writer: str, tmp_path: Path) -> None:
    ring, _ = new_ring(writer, tmp_path / "a.gsr", RingSizes(events=1 << 17))
    begin(ring)
    ring.clock_ns = 0
    asked = []
    for pause in (0, 0, 0.005, 0.02):  # of which a clock that is set once a millisecond knows nothing
        time.sleep(pause)
        end = time.monotonic_ns() + 30_000_000  # it is measured for ten
        while (before := time.monotonic_ns()) < end and len(asked) < 100_000:
            ring.callback_end(Exit.RETURNED)
            asked.append((before, time.monotonic_ns()))
    events: list[Event | Gap] = []
    with contextlib.closing(RingReader(tmp_path / "a.gsr")) as reader:
        while some := reader.read():
            events += some
    times = [event.time_ns for event in events if isinstance(event, Event) and event.kind == Kind.CALLBACK_END]
    assert len(times) == len(asked) > 1000
    assert times == sorted(times)
    early = [before - made for made, (before, _) in zip(times, asked, strict=True)]
    late = [made - after for made, (_, after) in zip(times, asked, strict=True)]
    assert max(early) < _NEAR
    assert max(late) < _NEAR
