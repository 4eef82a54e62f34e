"""Runs longer than the threshold: what the fold saw of them, and the stack that the watchdog saw them in.

The fold knows each run exactly, but only the lines before and after it. The watchdog knows the stack, and
the runs of the hub itself, but looks only now and then. Both are put together by time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from greenscope.trace.analysis.finding import Who
from greenscope.trace.analysis.model import Model, line_of_program
from greenscope.trace.analysis.notes import Note, frames_of
from greenscope.trace.analysis.stalls import Stall
from greenscope.trace.records import Site

__all__ = ["LongRun", "long_runs"]

_LOOKS_AGAIN = 2
"""Thresholds of the watchdog's after which it has seen a stall, or will not."""


@dataclass(frozen=True, slots=True)
class LongRun:
    """One of them; ``end`` is 0 while it goes on. Without a stack, ``site`` is the line it went on from."""

    greenlet: Who
    start: int
    end: int
    site: Site | None
    frames: tuple[Site, ...]

    @property
    def going_on(self) -> bool:
        """Whether it had not ended."""
        return not self.end

    def lasted(self, now: int) -> int:
        """Nanoseconds, so far if it goes on."""
        return (self.end or now) - self.start


def long_runs(model: Model) -> Iterator[LongRun]:
    """All that are known, oldest first but for those of the hub's own functions, which come last."""
    timeline = model.timeline
    seen = list(timeline.notes.stalls)
    runs = list(timeline.stalls.kept)
    going_on = timeline.stall_now(model.now)
    if going_on is not None:
        runs.append(going_on)
    notes = [next((note for note in reversed(seen) if _is_of(note, run)), None) for run in runs]
    # What goes on from a line is taken for what was seen to go on from there, while it was too short to be seen.
    frames_after = {run.before: frames_of(note.name) for run, note in zip(runs, notes, strict=True) if note is not None}
    for run, note in zip(runs, notes, strict=True):
        if note is None and run is going_on and model.now - run.start < model.watched_ns * _LOOKS_AGAIN:
            continue  # the stack, and so the line, will be known in a moment
        frames = frames_of(note.name) if note is not None else frames_after.get(run.before, ())
        yield _run(model, run.greenlet, run.start, run.end, run.before, frames)
    for note in seen:
        if note.greenlet == model.hub and (note.end or model.now) - note.start >= model.thresholds.stall_ns:
            yield _run(model, note.greenlet, note.start, note.end, 0, frames_of(note.name))


def _is_of(note: Note, run: Stall) -> bool:
    return note.greenlet == run.greenlet and note.start <= (run.end or note.start) and run.start <= note.start


def _run(model: Model, greenlet: int, start: int, end: int, before: int, frames: tuple[Site, ...]) -> LongRun:
    return LongRun(model.who(greenlet), start, end, line_of_program(frames) or model.site(before), frames)
