"""Runs longer than the threshold: what the fold saw of them, and what the watchdog saw them in.

The fold knows each run exactly, but only the lines before and after it. The watchdog knows the stack, what the
thread did in the kernel, and the runs of the hub itself, but looks only now and then. Both are put together by
time, and then by line: what is said of a line's runs is one finding, of one diagnosis.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import attrgetter

from greenscope.trace.analysis.diagnoses.diagnosis import Diagnosis
from greenscope.trace.analysis.finding import Evidence, Finding, Who
from greenscope.trace.analysis.model import Model, line_of_program
from greenscope.trace.analysis.notes import Note, frames_of
from greenscope.trace.analysis.stalls import Stall
from greenscope.trace.analysis.words import duration, many, place
from greenscope.trace.events import Blocked
from greenscope.trace.records import Site

__all__ = ["LongRun", "Seen", "finding_of", "long_runs", "runs_by_line", "worst_of"]

_LOOKS_AGAIN = 3
"""Thresholds of the watchdog's after which it has seen a stall, or will not."""
_NAMED = 3
_Ends = tuple[str, int | None, int | None]
"""Who ran, and between which lines; None: whichever."""
_WANTS_TO_RUN = frozenset({Blocked.UNKNOWN, Blocked.RUNNING})


@dataclass(frozen=True, slots=True)
class Seen:
    """What the watchdog saw a run in: the stack, innermost frame first, and what its thread did (``Blocked``)."""

    frames: tuple[Site, ...] = ()
    blocked: int = Blocked.UNKNOWN


_NOTHING_SEEN = Seen()


@dataclass(frozen=True, slots=True)
class LongRun:
    """One of them; ``end`` is 0 while it goes on. Without a stack, ``site`` is the line it went on from."""

    greenlet: Who
    start: int
    end: int
    site: Site | None
    seen: Seen

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
    if going_on is not None and not _has_switched(model, going_on):
        runs.append(going_on)
    notes = [_note_of(run, seen) for run in runs]
    # What lies between two waits is taken for what was seen to lie there, while it was too short to be seen.
    seen_there: dict[_Ends, Seen] = {}
    for run, note in zip(runs, notes, strict=True):
        if note is not None and note.name and not _had_no_processor(model, note):
            _keep(seen_there, run, _seen(note))
    for run, note in zip(runs, notes, strict=True):
        if note is None and run is going_on and model.now - run.start < model.watched_ns * _LOOKS_AGAIN:
            continue  # the stack, and so the line, will be known in a moment
        if note is not None and _had_no_processor(model, note):
            continue
        if model.was_start(run):
            continue
        what = _seen(note) if note is not None and note.name else _alike(seen_there, run)
        if what is _NOTHING_SEEN and _was_not_looked_at(model, (run.end or model.now) - run.start):
            continue
        yield _run(model, run.greenlet, run.start, run.end, run.before, what)
    for note in seen:
        if _had_no_processor(model, note):
            continue
        if note.greenlet == model.hub and (note.end or model.now) - note.start >= model.thresholds.stall_ns:
            yield _run(model, note.greenlet, note.start, note.end, 0, _seen(note))


def _has_switched(model: Model, run: Stall) -> bool:
    """Whether the table, read after the events, says that it is over: a ring may be written faster than it is read."""
    slot = model.slot(run.greenlet)
    return slot is not None and (slot.state != "running" or slot.since_ns > run.start)


def _had_no_processor(model: Model, note: Note) -> bool:
    """Whether a thread that did not wait in a call had a processor for less than a stall: the machine is busy, then.

    Of one that goes on only what it had when it was noticed is known, which counts for so long.
    """
    if note.blocked not in _WANTS_TO_RUN or not 0 <= note.computed < model.thresholds.stall_ns:
        return False
    return note.end > 0 or model.now - note.start < model.thresholds.stall_ns * _LOOKS_AGAIN


def _was_not_looked_at(model: Model, ns: int) -> bool:
    """Whether a watchdog that should have looked did not come to it either: as above."""
    return 0 < model.watched_ns <= model.thresholds.stall_ns and ns < model.watched_ns * _LOOKS_AGAIN


def _note_of(run: Stall, notes: list[Note]) -> Note | None:
    """The last that began within a run; stalls are noted one after the other."""
    last = bisect_right(notes, run.end, key=attrgetter("start")) if run.end else len(notes)
    for note in reversed(notes[:last]):
        if note.start < run.start:
            break
        if note.greenlet == run.greenlet:
            return note
    return None


def _who(run: Stall) -> str:
    return run.name.removesuffix(f" #{run.greenlet}")


def _keep(seen: dict[_Ends, Seen], run: Stall, what: Seen) -> None:
    for ends in ((run.before, run.after), (run.before, None), (None, run.after)):
        seen[_who(run), *ends] = what


def _alike(seen: dict[_Ends, Seen], run: Stall) -> Seen:
    """What was seen of the same function's runs between the same lines.

    A server waits for all its work in one line, so one line alone says something only where the other is not known,
    of this run or of that: 0, for the first of a greenlet, its last, and one that goes on.
    """
    before, after = run.before, run.after
    ends: list[tuple[int | None, int | None]] = [(before, after)]
    if before:
        ends.append((before, 0 if after else None))
    if after:
        ends.append((0 if before else None, after))
    return next((seen[_who(run), *two] for two in ends if (_who(run), *two) in seen), _NOTHING_SEEN)


def _seen(note: Note) -> Seen:
    return Seen(frames_of(note.name), note.blocked)


def _run(model: Model, greenlet: int, start: int, end: int, before: int, seen: Seen) -> LongRun:
    return LongRun(model.who(greenlet), start, end, line_of_program(seen.frames) or model.site(before), seen)


def runs_by_line(model: Model) -> list[list[LongRun]]:
    """All of them, those of a line together; those of no line that is known, by their greenlet."""
    at_line: dict[object, list[LongRun]] = {}
    for run in long_runs(model):
        at_line.setdefault(run.site or run.greenlet.id, []).append(run)
    return list(at_line.values())


def worst_of(runs: Sequence[LongRun], now: int) -> LongRun:
    """The longest."""
    return max(runs, key=lambda run: run.lasted(now))


def finding_of(
    diagnosis: Diagnosis, model: Model, runs: list[LongRun], verb: str, how: str, advice: str, seen: str
) -> Finding:
    """What is said of a line's runs, and of who could have run meanwhile.

    Args:
        diagnosis: whose finding it is.
        verb: what the greenlet did to the hub: "kept".
        how: follows how long that was; empty, or with a space before it.
        seen: what was seen of each run.
    """
    now = model.now
    worst = worst_of(runs, now)
    kept = model.ready_during(worst.start, worst.end or now)
    goes_on = "has " if worst.going_on and model.state == "live" else ""
    took = duration(worst.lasted(now))
    sentence = f"{worst.greenlet.name} {goes_on}{verb} the hub for {took}{how}, at {place(worst.site)}"
    if len(runs) > 1:
        total = sum(run.lasted(now) for run in runs)
        sentence += f", the longest of {len(runs)} such runs, {duration(total)} in all"
    if kept:
        sentence += f"; {many(len(kept), 'greenlet')} could have run meanwhile"
    told = (Evidence(seen, run.start, run.greenlet, run.site) for run in runs[-_NAMED:])
    waited = (
        Evidence(f"could have run for {duration(one.ns)} of it", 0, model.who(one.greenlet)) for one in kept[:_NAMED]
    )
    return Finding(
        id=diagnosis.id,
        severity=diagnosis.severity,
        sentence=f"{sentence}.",
        advice=advice,
        since=worst.start,
        until=worst.end,
        greenlet=worst.greenlet,
        site=worst.site,
        others=tuple(model.who(one.greenlet) for one in kept),
        count=len(runs),
        evidence=tuple(chain(told, waited)),
        stack=worst.seen.frames,
    )
