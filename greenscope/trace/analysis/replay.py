"""One recording to step through, forward and back: the state after any step, in words, and why it came to that.

Owns the records, and what was known (``Steps``) every so many of them, so that any step is found by going on from a
checkpoint: in about a millisecond. Step ``n`` is the n-th event of the replay, or a loss; its frame shows what is
known after it, and its words tell it given what was known before. Checkpoints are as far apart as what they hold is
large: all together hold a few entries for each event, however many greenlets there are.

It reads no file: ``replaying`` feeds it. Nothing of it may be asked by two threads at once.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np

from greenscope.trace.analysis.causes import Cause, causes
from greenscope.trace.analysis.frames import Frame, Go, Shown, site_of
from greenscope.trace.analysis.model import Numbers
from greenscope.trace.analysis.narrate import narrate_loss, sentences
from greenscope.trace.analysis.narrate.labels import kind_of, reason_of
from greenscope.trace.analysis.recording import Index, Recording
from greenscope.trace.analysis.steps import Steps
from greenscope.trace.analysis.strip import Lives, Strip
from greenscope.trace.events import Kind, Spawn
from greenscope.trace.records import Batch, Event, Gap, GreenletSlot

__all__ = ["Replay"]

_APART = 512
_ENTRIES_AN_EVENT = 4
_TRAIL = 32  # a quarter of a checkpoint's entries apart at most: so many times as near are those where somebody looks
_LARGE = 1 << 17
_AHEAD = 1 << 12
_LOST = "lost"


class _Checkpoint(NamedTuple):
    step: int
    before: Steps
    """What is known before that step."""


def _last(checkpoints: list[_Checkpoint], step: int) -> _Checkpoint:
    """The last one that is not behind a step."""
    return checkpoints[bisect_right(checkpoints, step, key=lambda one: one.step) - 1]


class Replay:
    """What a ring holds, step by step.

    Args:
        numbers: what the numbers in events stand for.
        table: the ring's greenlet table, as of ``Steps``.
        start: when the ring began; times of frames are counted from there.
    """

    def __init__(self, numbers: Numbers, table: Iterable[GreenletSlot] = (), start: int = 0) -> None:
        self.numbers = numbers
        self.recording = Recording()
        self._start = start
        self._batches: dict[int, int] = {}  # first step: past its last one
        self._front = _Checkpoint(0, Steps(numbers, table))  # as far as it was followed
        self._near: _Checkpoint | None = None  # where somebody looked last
        self._kept = [_Checkpoint(0, self._front.before.copy())]
        self._trail: list[_Checkpoint] = []  # more of them, after the last of those that somebody looked behind
        self._lives = Lives()
        self._names: dict[int, str | None] = {}
        self._shown: dict[str, Shown] = {}

    def __len__(self) -> int:
        return len(self.recording)

    def add(self, batch: Batch) -> None:
        """Take in what comes next."""
        first = len(self)
        self.recording.add(batch)
        self._batches[first] = len(self)
        self._names.clear()

    # -- what is asked --------------------------------------------------------------------------

    def event(self, step: int) -> Event | Gap:
        """One step.

        Raises:
            NoSuchStepError: there is none of that number; as from every method that takes one.
        """
        return self.recording.event(step)

    def events(self, first: int = 0, past: int | None = None) -> Iterator[Event | Gap]:
        """Steps ``[first, past)``."""
        return self.recording.events(first, past)

    def find(self, holds: Callable[[Event], bool], first: int = 0, kinds: tuple[int, ...] = ()) -> int | None:
        """The first step from this one on for whose event it holds, of these kinds only, if any are named."""
        return self.recording.find(holds, first, kinds)

    def frame(self, step: int, language: str = "en") -> Frame:
        """The moment after a step, told in one of ``LANGUAGES``."""
        self.event(step)
        return next(self.frames(step, step + 1, language))

    def frames(self, first: int, past: int, language: str = "en") -> Iterator[Frame]:
        """The moments after steps ``[first, past)``."""
        steps = self._ahead(first)
        shown = self._shown.setdefault(language, Shown(self._start, language))
        for step, event in enumerate(self.recording.events(first, past), first):
            self._expect(steps, step)
            if isinstance(event, Gap):
                words, site, about = [narrate_loss(event.lost, language)], None, None
                steps.lose(event.lost)
                kind, reason, time = _LOST, None, int(self.recording.rows["time_ns"][step])
            else:
                words, site, about = sentences(steps, event, language), site_of(steps, event), event.greenlet or None
                kind, reason, time = kind_of(event.kind), reason_of(event.kind, event.reason), event.time_ns
                steps.apply(event)
            frame = Frame(
                step=step,
                time=max(time - self._start, 0),
                kind=kind,
                greenlet=about,
                reason=reason,
                words=words,
                site=site,
                go=self._go(step, steps, about),
                **shown.parts(steps, about),
            )
            self._near = _Checkpoint(step + 1, steps)
            yield frame

    def why(self, step: int, language: str = "en") -> list[Cause]:
        """Why the greenlet, or the hub, that runs after a step does so: the wake-up followed backward, newest first."""
        self.event(step)
        return causes(self, step, language)

    def strip(self, first: int, last: int, most: int) -> Strip:
        """What everybody did after each of steps ``first`` to ``last``, in at most so many parts a lane."""
        self.event(first), self.event(last)
        self.follow(last + 1)
        return self._lives.strip(first, last, most, self.name)

    def before(self, step: int) -> Steps:
        """What was known before a step: a copy."""
        steps = self._ahead(step)
        self._near = _Checkpoint(step, steps.copy())
        return steps

    def name(self, number: int) -> str:
        """What a greenlet is called in the end; by its number if that is not known."""
        return self.known_name(number) or f"greenlet #{number}"

    def known_name(self, number: int) -> str | None:
        """What a greenlet is called in the end; None if that is not known."""
        if number not in self._names:
            self._names[number] = self._name(number)
        return self._names[number]

    def _name(self, number: int) -> str | None:
        at = self.recording.index(Kind.GREENLET_NAME).before(len(self), number)
        if at is None:
            return self._front.before.names.get(number)
        event = self.event(at)
        assert isinstance(event, Event)  # an index has no losses
        called = self.numbers.string(event.arg)
        return f"{called} #{number}" if event.aux else called

    @property
    def hub(self) -> int:
        """The hub's number."""
        rows = self.recording.rows
        said = (rows["kind"] == Kind.POLL_BEGIN) | (
            (rows["kind"] == Kind.GREENLET_SPAWN) & (rows["reason"] == Spawn.HUB)
        )
        return int(rows["greenlet"][said.argmax()]) if said.any() else self._front.before.hub

    # -- where it is ----------------------------------------------------------------------------

    def _ahead(self, step: int) -> Steps:
        """What is known before a step, to go on from: the nearest that there is, taken there."""
        self.follow(step)
        near, self._near = self._near, None
        kept = _last(self._kept, step)
        if not self._trail or self._trail[0] is not kept:
            self._trail = [kept]
        begin = _last(self._trail, step)
        if near is not None and begin.step <= near.step <= step:
            begin, steps = near, near.before
        else:
            steps = begin.before.copy()
        for at, event in enumerate(self.recording.events(begin.step, step), begin.step):
            if not at % _APART and steps.size < min(_LARGE, (at - self._trail[-1].step) * _TRAIL):
                self._trail.append(_Checkpoint(at, steps.copy()))
            self._take(steps, at, event)
        return steps

    def follow(self, past: int, most: int | None = None) -> bool:
        """Follow it up to before a step, leave checkpoints on the way, and note who does what when.

        Args:
            past: it.
            most: so many steps at most, for whoever has others to serve meanwhile.

        Returns:
            Whether it has been followed so far.
        """
        past = min(past, len(self))
        begin, steps = self._front
        if begin >= past:
            return True
        # Some way further: a strip is sorted anew whenever there is more of it.
        until = min(-(-past // _AHEAD) * _AHEAD, len(self), begin + most if most is not None else len(self))
        for at, event in enumerate(self.recording.events(begin, until), begin):
            if not at % _APART and at - self._kept[-1].step >= steps.size // _ENTRIES_AN_EVENT:
                self._kept.append(_Checkpoint(at, steps.copy()))
            was = steps.running
            if isinstance(event, Gap):
                self._lives.lose(at, steps)
            self._take(steps, at, event)
            if isinstance(event, Event):
                self._lives.note(at, event, was, steps)
        self._front = _Checkpoint(until, steps)
        return until >= past

    def _take(self, steps: Steps, at: int, event: Event | Gap) -> None:
        """Take in a step."""
        self._expect(steps, at)
        if isinstance(event, Gap):
            steps.lose(event.lost)
        else:
            steps.apply(event)

    def _expect(self, steps: Steps, at: int) -> None:
        """Where a batch begins, take the names in it: a spawn comes before its name."""
        past = self._batches.get(at)
        if past is None:
            return
        rows = self.recording.rows[at:past]
        for record in rows[rows["kind"] == Kind.GREENLET_NAME].tolist():
            steps.expect(Event(*record))

    def _go(self, step: int, steps: Steps, about: int | None) -> Go:
        recording = self.recording
        again: Index | None = None
        key = 0
        if about == steps.hub:
            again = recording.hub_runs
        elif about is not None:
            again, key = recording.runs, about
        return Go(
            recording.switches.before(step),
            recording.switches.after(step),
            again.after(step, key) if again is not None else None,
            again.before(step, key) if again is not None else None,
        )


def files(replay: Replay) -> list[str]:
    """The files that its steps are at, in the order of their first steps."""
    rows = replay.recording.rows
    numbers = rows["site"][~np.isin(rows["kind"], (Kind.STALL_BEGIN, Kind.STALL_END))]
    found: dict[str, None] = {}
    sites, firsts = np.unique(numbers, return_index=True)
    for number in sites[np.argsort(firsts)].tolist():
        site = replay.numbers.site(number)
        if site is not None:
            found[site.file] = None
    return list(found)


def greenlets(replay: Replay) -> list[int]:
    """Everybody but the hub, in the order in which they appear."""
    rows, nobody = replay.recording.rows, (0, replay.hub)
    numbers, firsts = np.unique(rows["greenlet"][rows["kind"] != Kind.TEXT], return_index=True)
    return [number for number in numbers[np.argsort(firsts)].tolist() if number not in nobody]
