"""Why somebody runs: a wake-up followed backward, from the switch to what made it ready, to what made that so.

Every link is a step of the recording, told in the words of that step. Where a greenlet did it, the question goes on:
why did that one run? It ends where nothing more can be known: at the kernel, at a clock, at the begin of the program,
or where events were lost; which is said. ``critical_path`` walks the same way through a request's spans, for how long
each was; here it is step by step, and why.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from greenscope.trace.analysis.narrate import LANGUAGES, sentences
from greenscope.trace.analysis.narrate.phrases import Say, who
from greenscope.trace.analysis.narrate.wording import sentence
from greenscope.trace.analysis.steps import Steps
from greenscope.trace.events import Kind, Ready, Spawn, Watch, unpack
from greenscope.trace.records import Event, Gap

if TYPE_CHECKING:
    from greenscope.trace.analysis.replay import Replay

__all__ = ["MOST", "Cause", "causes"]

MOST = 20
"""So far it is followed at most."""

_LOW = 0xFFFFFFFF
_BY_GREENLET = frozenset({Ready.GREENLET, Ready.SPAWN, Ready.KILL, Ready.CLOSE})


class Cause(NamedTuple):
    """One link: a step, and what it has to do with it."""

    step: int
    words: str


def causes(replay: Replay, step: int, language: str) -> list[Cause]:
    """Why who runs after a step does so, the newest first."""
    walk = _Walk(replay, language)
    walk.follow(step)
    return walk.found


class _Walk:
    def __init__(self, replay: Replay, language: str) -> None:
        self._replay = replay
        self._events = replay.recording
        self._language = language
        self._table = LANGUAGES[language]
        self.found: list[Cause] = []

    def follow(self, step: int) -> None:
        """Why does somebody run after this step? And who made that so, why did that one?"""
        after = self._after(step)
        runs: int | None = after.running
        while runs is not None:
            if len(self.found) >= MOST - 2:
                self._say(self.found[-1].step, "cause.further")
                return
            if runs == after.hub:
                self._hub(step)
                return
            found = self._greenlet(runs, step)
            if found is None:
                return
            runs, step = found
        self._end(step, "cause.unknown")

    # -- the hub --------------------------------------------------------------------------------

    def _hub(self, step: int) -> None:
        """The hub runs because somebody switched to it: the call that would have blocked, if it was one."""
        at = self._events.hub_runs.before(step + 1)
        if at is None:
            self._end(step, "cause.hub")
            return
        event, before = self._tell(at)
        if event.kind != Kind.GREENLET_PARK:
            return
        if before.call(event.greenlet) is not None:
            self._add(self._events.index(Kind.OP_BEGIN).before(at, event.greenlet))

    # -- a greenlet -----------------------------------------------------------------------------

    def _greenlet(self, who_runs: int, step: int) -> tuple[int, int] | None:
        """A greenlet runs because of a switch, because it was ready: who made it so, and when; None: that is all."""
        at = self._events.index(Kind.GREENLET_SWITCH, Kind.GREENLET_THROW).before(step + 1, who_runs)
        if at is None:
            self._end(step, "cause.lost")
            return None
        _, before = self._tell(at, 1)
        one = before.greenlet(who_runs)
        if before.running not in (None, before.hub, who_runs):
            return (before.running or 0), at - 1
        if one.awake is None:
            if one.spawn == Spawn.MAIN:
                self._end(at, "cause.begins", who_runs, before)
            else:
                self._end(at, "cause.lost")
            return None
        ready = self._events.index(Kind.GREENLET_READY).before(at, who_runs)
        if ready is None:
            self._end(at, "cause.lost")
            return None
        return self._ready(ready)

    def _ready(self, at: int) -> tuple[int, int] | None:
        event, before = self._tell(at, 1)
        if event.reason == Ready.WATCHER:
            self._fired(at, event.arg, event.greenlet)
            return None
        if event.reason == Ready.TIMEOUT:
            self._timeout(at, event.arg)
            return None
        if event.reason in _BY_GREENLET and event.arg:
            if event.arg != before.hub:
                return event.arg, at
            self._hub_did(at, before)
            return None
        if before.loop_exit:
            self._add(self._events.index(Kind.LOOP_EXIT, by="").before(at))
        elif event.reason != Ready.YIELD:
            self._end(at, "cause.unsaid")
        return None

    def _fired(self, at: int, watcher: int, who_waits: int) -> None:
        """A watcher fired: in which poll, and what it had been armed for."""
        fired = self._events.index(Kind.WATCHER_FIRE, by="number").before(at, watcher & _LOW)
        if fired is None or fired < (self._events.index(Kind.GREENLET_PARK).before(at, who_waits) or 0):
            self._end(at, "cause.unsaid")
            return
        event, _ = self._tell(fired, 1)
        self._add(self._events.index(Kind.POLL_BEGIN, by="").before(fired))
        if event.reason == Watch.TIMER:
            self._add(self._events.index(Kind.WATCHER_START, by="number").before(fired, watcher & _LOW))
            self._end(fired, "cause.time")
        else:
            self._end(fired, "cause.outside")

    def _timeout(self, at: int, timeout: int) -> None:
        """A timeout is over: since when it counted."""
        self._add(self._events.index(Kind.TIMEOUT_FIRE, by="number").before(at, timeout & _LOW), 1)
        self._add(self._events.index(Kind.TIMEOUT_START, by="number").before(at, timeout & _LOW), 1)
        self._end(at, "cause.time")

    def _hub_did(self, at: int, before: Steps) -> None:
        """The hub itself woke it: in a function that it called, or for a thread."""
        poll = self._events.index(Kind.POLL_BEGIN, by="").before(at)
        job = self._events.index(Kind.JOB_END, by="").before(at)
        if before.callback is not None:
            called = self._events.index(Kind.CALLBACK_BEGIN, by="").before(at)
            if called is not None:
                event, _ = self._tell(called, 1)
                watcher = unpack(event.arg)[0]
                if watcher:
                    self._fired(called, watcher, 0)
            return
        if job is not None and poll is not None and job > poll:
            event, _ = self._tell(job, 1)
            self._add(self._events.index(Kind.JOB_PUT, by="number").before(job, unpack(event.arg)[0]), 1)
        self._add(poll, 1)
        self._end(at, "cause.outside")

    # -- words ----------------------------------------------------------------------------------

    def _after(self, step: int) -> Steps:
        steps, event = self._replay.before(step), self._events.event(step)
        if isinstance(event, Gap):
            steps.lose(event.lost)
        else:
            steps.apply(event)
        return steps

    def _tell(self, at: int, most: int = 2) -> tuple[Event, Steps]:
        """Add a step in its own words, its first sentences."""
        event, before = self._events.event(at), self._replay.before(at)
        assert isinstance(event, Event)  # an index has no losses
        told = sentences(before, event, self._language)
        self.found.append(Cause(at, self._table["between"].join(told[:most])))
        return event, before

    def _add(self, at: int | None, most: int = 2) -> None:
        if at is not None:
            self._tell(at, most)

    def _end(self, at: int, key: str, number: int = 0, steps: Steps | None = None) -> None:
        """Say why it is not followed any further."""
        self._say(at, key, Say(key, {"who": who(steps, number)}) if steps is not None else None)

    def _say(self, at: int, key: str, said: Say | None = None) -> None:
        self.found.append(Cause(at, sentence(said or Say(key), self._table)))
