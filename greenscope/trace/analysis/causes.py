"""Why somebody runs: a wake-up followed backward, from the switch to what made it ready, to what made that so.

Every link is a step of the recording, told in the words of that step. Where a greenlet did it, the question goes on:
why did that one run? It ends where nothing more can be known: at the kernel, at a clock, at the begin of the program,
or where events were lost; which is said. ``critical_path`` walks the same way through a request's spans, for how long
each was; here it is step by step, and why.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from greenscope.trace.analysis.narrate import LANGUAGES, sentences
from greenscope.trace.analysis.states import BY_GREENLET
from greenscope.trace.analysis.steps import Steps
from greenscope.trace.events import Kind, Ready, Spawn, Wait, Watch, unpack
from greenscope.trace.records import Event, Gap

if TYPE_CHECKING:
    from greenscope.trace.analysis.replay import Replay

__all__ = ["MOST", "Cause", "causes"]

MOST = 20
"""So many are told at most."""

_LOW = 0xFFFFFFFF
_IN_THREAD = frozenset({Wait.THREAD, Wait.LOOKUP})


class Cause(NamedTuple):
    """One link: a step, and what it has to do with it."""

    step: int
    words: str


def causes(replay: Replay, step: int, language: str) -> list[Cause]:
    """Why who runs after a step does so, the newest first."""
    walk = _Walk(replay, language)
    try:
        walk.follow(step)
    except _Enough:
        walk.end("cause.further")
    return sorted(walk.found, key=lambda cause: -cause.step)


class _Enough(Exception):
    """So many causes are told."""


class _Walk:
    """The links found by now; the newest first, but for what belongs together."""

    def __init__(self, replay: Replay, language: str) -> None:
        self._replay = replay
        self._events = replay.recording
        self._language = language
        self._table = LANGUAGES[language]
        self.found: list[Cause] = []

    def follow(self, step: int) -> None:
        """Why does somebody run after this step? And who made that so, why did that one?"""
        after, event = self._replay.before(step), self._events.event(step)
        if isinstance(event, Gap):
            after.lose(event.lost)
        else:
            after.apply(event)
        if after.running is None:
            self._say(step, "cause.unknown")
            return
        runs = after.running
        while runs != after.hub:
            found = self._greenlet(runs, step)
            if found is None:
                return
            runs, step = found
        self._hub(step, after)

    # -- the hub --------------------------------------------------------------------------------

    def _hub(self, step: int, after: Steps) -> None:
        """The hub runs because somebody switched to it: the call that would have blocked, or who holds the lock."""
        if after.callback is not None and not self.found:
            self._callback(step + 1)
        at = self._events.hub_runs.before(step + 1)
        if at is None:
            self._say(step, "cause.hub")
            return
        event, before = self._tell(at, 2)
        if event.kind != Kind.GREENLET_PARK:
            return
        if before.call(event.greenlet) is not None:
            self._add(self._last(at, Kind.OP_BEGIN, event.greenlet))
        holder = before.holder(before.wait_of(event).resource) if event.reason == Wait.LOCK else 0
        if holder:
            self._add(self._taken(at, holder, unpack(event.arg)[0]))

    def _taken(self, at: int, holder: int, lock: int) -> int | None:
        """Where the holder of a lock took it: that it holds it already may have been said since."""
        taken = self._last(at, Kind.RESOURCE_ACQUIRE, holder, lock)
        let_go = self._last(at, Kind.RESOURCE_RELEASE, number=lock) or -1
        while taken is not None and self._events.rows["aux"][taken]:
            before = self._last(taken, Kind.RESOURCE_ACQUIRE, holder, lock)
            if before is None or before < let_go:
                break
            taken = before
        return taken

    def _callback(self, step: int) -> None:
        called = self._last(step, Kind.CALLBACK_BEGIN)
        if called is not None:
            event, _ = self._tell(called)
            watcher = unpack(event.arg)[0]
            if watcher:
                self._fired(called, watcher)

    # -- a greenlet -----------------------------------------------------------------------------

    def _greenlet(self, who_runs: int, step: int) -> tuple[int, int] | None:
        """A greenlet runs because of a switch, because it was ready: who made it so, and when; None: that is all."""
        at = self._events.runs.before(step + 1, who_runs)
        if at is None:  # it is known to run by what it did
            self._say(step, "cause.lost")
            return None
        _, before = self._tell(at)
        one = before.greenlet(who_runs)
        if before.running not in (None, before.hub, who_runs):
            return before.running or 0, at - 1
        ready = self._last(at, Kind.GREENLET_READY, who_runs) if one.awake is not None else None
        if ready is not None:
            return self._ready(ready)
        if one.spawn == Spawn.MAIN and one.wait is None:
            self.end("cause.begins")
        else:
            self.end("cause.lost")
        return None

    def _ready(self, at: int) -> tuple[int, int] | None:
        """Who made it ready: a greenlet, which is to be asked about next, and when; or whatever else it was."""
        event, before = self._tell(at)
        wait = before.greenlet(event.greenlet).wait
        if event.reason == Ready.WATCHER:
            self._fired(at, event.arg)
        elif event.reason == Ready.TIMEOUT:
            self._timeout(at, event.arg)
        elif wait is not None and wait.reason in _IN_THREAD and self._job(at, event.greenlet):
            pass
        elif event.reason in BY_GREENLET and event.arg not in (0, before.hub):
            return event.arg, at
        elif before.callback is not None and event.arg == before.hub:
            self._callback(at)
        elif before.loop_exit:
            self._add(self._last(at, Kind.LOOP_EXIT), 2)
        elif event.reason == Ready.GREENLET:
            self.end("cause.unsaid")
        return None

    def _fired(self, at: int, watcher: int) -> None:
        """A watcher fired: what it had been armed for, and in which poll."""
        fired = self._last(at, Kind.WATCHER_FIRE, number=watcher)
        armed = self._last(at, Kind.WATCHER_START, number=watcher)
        if fired is None or (armed is not None and armed > fired):
            self.end("cause.unsaid")
            return
        event, _ = self._tell(fired)
        if event.reason != Watch.TIMER:
            self.end("cause.kernel")
        self._add(self._last(fired, Kind.POLL_BEGIN))
        if event.reason == Watch.TIMER:
            self._add(armed)
            self.end("cause.time")

    def _timeout(self, at: int, timeout: int) -> None:
        """A timeout is over: since when it counted."""
        self._add(self._last(at, Kind.TIMEOUT_FIRE, number=timeout))
        self._add(self._last(at, Kind.POLL_BEGIN))
        self._add(self._last(at, Kind.TIMEOUT_START, number=timeout))
        self.end("cause.time")

    def _job(self, at: int, who_waits: int) -> bool:
        """Whether what it waited for was the end of a function in a thread, that it had given to it."""
        given = self._last(at, Kind.JOB_PUT, who_waits)
        if given is None:
            return False
        put = self._events.event(given)
        ended = self._last(at, Kind.JOB_END, number=unpack(put.arg)[0]) if isinstance(put, Event) else None
        if ended is None or ended < given:
            return False
        self._add(ended)
        self._add(self._last(ended, Kind.POLL_BEGIN))
        self._add(given)
        return True

    # -- steps and words ------------------------------------------------------------------------

    def _last(self, before: int, kind: Kind, greenlet: int | None = None, number: int | None = None) -> int | None:
        """The last step of a kind, about a greenlet or with a number if they are given, before one."""
        if greenlet is None:
            by, key = ("", 0) if number is None else ("number", number & _LOW)
        elif number is None:
            by, key = "greenlet", greenlet
        else:
            by, key = "both", (greenlet & _LOW) << 32 | number & _LOW
        return self._events.index(kind, by=by).before(before, key)

    def _tell(self, at: int, most: int = 1) -> tuple[Event, Steps]:
        """Add a step in its own words, the first sentences of them."""
        if len(self.found) >= MOST:
            raise _Enough
        event, before = self._events.event(at), self._replay.before(at)
        assert isinstance(event, Event)  # an index has no losses
        told = sentences(before, event, self._language)
        self.found.append(Cause(at, self._table["between"].join(told[:most])))
        return event, before

    def _add(self, at: int | None, most: int = 1) -> None:
        if at is not None:
            self._tell(at, most)

    def end(self, key: str) -> None:
        """Say of the last link why it is not followed any further."""
        at, words = self.found[-1]
        self.found[-1] = Cause(at, f"{words}{self._table['between']}{self._table[key]}")

    def _say(self, at: int, key: str) -> None:
        """Add what no step says."""
        self.found.append(Cause(at, self._table[key]))
