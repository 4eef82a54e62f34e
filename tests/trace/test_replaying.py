"""A ring file as a replay: its newest records, what comes while it is written, and where it ends."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from greenscope.errors import RingFormatError
from greenscope.trace.events import Kind, Ready, Spawn, Wait
from greenscope.trace.recorder import Recorder
from greenscope.trace.records import Event, Gap
from greenscope.trace.replaying import Replaying
from greenscope.trace.ring_file import RingSizes, create
from greenscope.trace.snapshot import snapshot
from tests.trace.analysis.replayed import record

MAIN = 2


def ring(directory: Path, events: int = 4096) -> Recorder:
    """A ring that is written: five events are in it."""
    recorder = Recorder(create(directory / "1-1.gsr", 1, "MainThread", RingSizes(events=events)))
    recorder.spawn(Spawn.HUB, recorder.string("hub"), 0, 0)
    recorder.switch(recorder.spawn(Spawn.MAIN, recorder.string("main"), 0, 0))
    return recorder


def turns(recorder: Recorder, count: int) -> None:
    """Three events a turn."""
    main = recorder.current
    for _ in range(count):
        recorder.park(Wait.YIELD, 0, -1, 0, b"")
        recorder.ready(main, Ready.YIELD, 0)
        recorder.switch(main)


def test_a_ring_that_is_written_is_read_on_when_that_is_asked(tmp_path: Path):
    recorder = ring(tmp_path)
    with contextlib.closing(Replaying(tmp_path / "1-1.gsr")) as replaying:
        assert (len(replaying.replay), replaying.complete, replaying.first) == (5, False, 0)
        turns(recorder, 2)
        assert len(replaying.replay) == 5
        replaying.read()
        assert (len(replaying.replay), replaying.complete) == (11, False)
        turns(recorder, 1)
        recorder.close()
        replaying.read()
        assert (len(replaying.replay), replaying.complete) == (14, True)


def test_what_was_overwritten_meanwhile_is_a_step_of_its_own(tmp_path: Path):
    recorder = ring(tmp_path, events=64)
    with contextlib.closing(Replaying(tmp_path / "1-1.gsr")) as replaying:
        turns(recorder, 100)
        replaying.read()
        lost = replaying.replay.event(5)
        assert isinstance(lost, Gap)
        assert 5 + lost.lost + len(replaying.replay) - 6 == 305
        assert (replaying.replay.recording.lost, replaying.replay.frame(5).kind) == (lost.lost, "lost")
    recorder.close()


def test_of_more_than_it_takes_it_has_the_newest_and_says_how_many_were_before(tmp_path: Path):
    recorder = ring(tmp_path)
    turns(recorder, 100)
    with contextlib.closing(Replaying(tmp_path / "1-1.gsr", most=90)) as replaying:
        assert (replaying.first, len(replaying.replay)) == (215, 91)
        assert replaying.replay.event(0) == Gap(215)
        kinds = [one.kind for one in replaying.replay.events(1) if isinstance(one, Event)]
        assert kinds == [Kind.GREENLET_PARK, Kind.GREENLET_READY, Kind.GREENLET_SWITCH] * 30
        assert replaying.replay.name(MAIN) == "main"  # as the table has it
        assert replaying.replay.frame(1).words[0].startswith("main gave way")
    recorder.close()


def test_of_one_that_is_written_without_end_it_takes_so_many_more_and_is_full(tmp_path: Path):
    recorder = ring(tmp_path)
    turns(recorder, 30)
    with contextlib.closing(Replaying(tmp_path / "1-1.gsr", most=95)) as replaying:
        assert not replaying.is_full
        turns(recorder, 100)
        replaying.read()
        assert replaying.is_full
        count = len(replaying.replay)
        turns(recorder, 1)
        replaying.read()
        assert (len(replaying.replay), replaying.complete) == (count, False)
    with contextlib.closing(Replaying(tmp_path / "1-1.gsr", most=95)) as anew:
        assert (anew.first, len(anew.replay)) == (5 + 3 * 131 - 95, 96)
    recorder.close()


def test_what_was_lost_between_two_looks_makes_it_no_fuller(tmp_path: Path):
    recorder = ring(tmp_path, events=64)
    with contextlib.closing(Replaying(tmp_path / "1-1.gsr", most=1000)) as replaying:
        turns(recorder, 2000)
        replaying.read()
        assert replaying.replay.recording.lost > 2000
        assert not replaying.is_full
        before = len(replaying.replay)
        turns(recorder, 10)
        replaying.read()
        assert len(replaying.replay) == before + 30
    recorder.close()


def test_a_snapshot_of_a_living_ring_is_complete(tmp_path: Path):
    recorder = ring(tmp_path)
    copy = tmp_path / "copy.gsr"
    snapshot(tmp_path / "1-1.gsr", copy)
    turns(recorder, 1)
    with contextlib.closing(Replaying(copy)) as replaying:
        assert (len(replaying.replay), replaying.complete) == (5, True)
    recorder.close()


def test_a_file_that_is_cut_short_is_refused_and_let_go_of(tmp_path: Path):
    path = record("locks", tmp_path)
    whole = path.read_bytes()
    for size in (0, 100, 4096, 200_000):
        path.write_bytes(whole[:size])
        with pytest.raises(RingFormatError):
            Replaying(path)


def test_a_file_that_is_cut_short_while_it_is_replayed_is_an_error_in_words(tmp_path: Path):
    recorder = ring(tmp_path)
    with contextlib.closing(Replaying(tmp_path / "1-1.gsr")) as replaying:
        turns(recorder, 1)
        with (tmp_path / "1-1.gsr").open("r+b") as file:
            file.truncate(5000)
        with pytest.raises(RingFormatError, match="cut short"):
            replaying.read()
    recorder.close()
