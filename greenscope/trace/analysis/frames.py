"""What a replay shows at one step: who runs, who is ready, who waits for what, what is armed, in words and numbers.

Values that JSON has as they are, but for lines of code. Times are nanoseconds since the ring began. Lists are cut
to what a screen shows, and say how many there are.
"""

from __future__ import annotations

from itertools import islice
from typing import Any, NamedTuple, TypeVar

from greenscope.trace.analysis.narrate import LANGUAGES, labels
from greenscope.trace.analysis.narrate.calls import name_of
from greenscope.trace.analysis.step_parts import Armed, Greenlet
from greenscope.trace.analysis.steps import Steps
from greenscope.trace.events import Kind, Resource, Wait, Watch
from greenscope.trace.records import Event, Site

__all__ = [
    "MOST",
    "Calling",
    "Frame",
    "Go",
    "Held",
    "On",
    "Queued",
    "Shown",
    "Timing",
    "Waiting",
    "Watching",
    "hub_does",
    "site_of",
]

MOST = 50
"""So many of each list are shown."""


class Queued(NamedTuple):
    """One of the ready queue."""

    greenlet: int
    since: int
    why: str
    site: Site | None
    """Where it will go on; None if it has not begun."""


class On(NamedTuple):
    """What a parked greenlet is tied to: a watcher, a lock, another greenlet; and who has that in hand."""

    kind: str
    number: int | None
    greenlet: int | None


class Waiting(NamedTuple):
    """A parked greenlet."""

    greenlet: int
    reason: str
    label: str
    since: int
    deadline: int | None
    watcher: int | None
    timer: int | None
    on: On
    site: Site | None


class Watching(NamedTuple):
    """An armed watcher."""

    watcher: int
    kind: str
    fd: int | None
    peer: str | None
    owner: int
    fired: bool
    due: int | None
    since: int


class Timing(NamedTuple):
    """A timeout that counts."""

    timeout: int
    owner: int
    due: int
    ms: int


class Held(NamedTuple):
    """A lock that is held."""

    kind: str
    number: int
    holders: tuple[int, ...]


class Calling(NamedTuple):
    """A call of a socket that is not over."""

    greenlet: int
    call: str
    fd: int | None
    site: Site | None
    waits: int


class Go(NamedTuple):
    """Where to step from here: the switch before and after; where the step's greenlet runs again, and ran last."""

    switch_back: int | None
    switch_on: int | None
    again: int | None
    again_back: int | None


class Frame(NamedTuple):
    """The moment after one step, and that step in words."""

    step: int
    time: int
    kind: str
    greenlet: int | None
    reason: str | None
    words: list[str]
    site: Site | None
    running: int | None
    hub: str | None
    calls: str | None
    ready: list[Queued]
    ready_total: int
    ready_known: bool
    parked: list[Waiting]
    parked_total: int
    watchers: list[Watching]
    watchers_total: int
    timeouts: list[Timing]
    timeouts_total: int
    held: list[Held]
    held_total: int
    current: Calling | None
    go: Go


T = TypeVar("T")
_KEEP = 1 << 12  # more than are shown at once
_STALLS = (Kind.STALL_BEGIN, Kind.STALL_END)
_WATCHED = frozenset({Wait.READ, Wait.WRITE, Wait.TIMER, Wait.SIGNAL, Wait.CHILD})
_HELD: dict[int, str] = {Resource.RLOCK: "rlock", Resource.SEMAPHORE: "semaphore"}
_ON: dict[int, str] = {
    Wait.LOCK: "lock",
    Wait.QUEUE: "queue",
    Wait.EVENT: "event",
    Wait.JOIN: "greenlet",
    Wait.YIELD: "turn",
    Wait.THREAD: "thread",
    Wait.LOOKUP: "lookup",
}


def hub_does(steps: Steps) -> str | None:
    """What the hub does: "runs", "asks", "blocks", "calls", or "waits" for a greenlet; None if that is not known."""
    if steps.running is None:
        return None
    if steps.running != steps.hub:
        return "waits"
    if steps.callback is not None:
        return "calls"
    if steps.polling:
        return "blocks" if steps.blocks else "asks"
    return "runs"


def site_of(steps: Steps, event: Event) -> Site | None:
    """The line that an event is at, given what was known before it: its own, or where its greenlet goes on."""
    if event.kind in _STALLS:
        return _innermost(event.text)
    number = event.site
    if not number and event.kind in (Kind.GREENLET_SWITCH, Kind.GREENLET_THROW):
        wait = steps.greenlet(event.greenlet).wait
        number = wait.site if wait is not None else 0
    elif not number and event.kind == Kind.OP_END:
        call = steps.call(event.greenlet)
        number = call.site if call is not None else 0
    return steps.numbers.site(number)


def _innermost(stack: str) -> Site | None:
    """The first line of a watchdog's stack."""
    frame = stack.split("\n", 1)[0].split("\t")
    if len(frame) < 2 or not frame[1].isdecimal() or len(frame[1]) > 9:
        return None
    return Site(frame[0], int(frame[1]), frame[2] if len(frame) > 2 else "")


class Shown:
    """What is known at a moment, as a frame has it, in one language.

    From one step to the next little changes: what was made of a greenlet or a watcher is kept, and given again as long
    as all that it was made of is the same.

    Args:
        start: when the ring began.
        language: of the labels.
    """

    def __init__(self, start: int, language: str) -> None:
        self._start = start
        self._table = LANGUAGES[language]
        self._kept: dict[tuple[type, int], tuple[tuple[Any, ...], Any]] = {}

    def parts(self, steps: Steps, about: int | None) -> dict[str, Any]:
        """The fields of a frame that say what is known by now; ``about`` whom the step is, whose open call is told."""
        if len(self._kept) > _KEEP:
            self._kept.clear()
        call = steps.call(about) if about is not None else None
        calls = steps.numbers.string(steps.callback) if steps.callback is not None else ""
        armed, timeouts, held = steps.armed.values(), steps.timeouts.values(), steps.held.items()
        return {
            "running": steps.running,
            "hub": hub_does(steps),
            "calls": calls or None,
            "ready": [self._queued(steps, number) for number in islice(steps.queue, MOST)],
            "ready_total": len(steps.queue),
            "ready_known": steps.queue_known,
            "parked": [self._waiting(steps, one) for one in steps.parked(MOST)],
            "parked_total": steps.parked_count,
            "watchers": [self._watching(steps, one) for one in islice(armed, MOST)],
            "watchers_total": len(armed),
            "timeouts": [
                Timing(one.number, one.owner, one.due_ns - self._start, one.ms) for one in islice(timeouts, MOST)
            ],
            "timeouts_total": len(timeouts),
            "held": [Held(_HELD.get(one.what, "lock"), number, one.holders) for number, one in islice(held, MOST)],
            "held_total": len(held),
            "current": Calling(about, name_of(call.op), call.fd, steps.numbers.site(call.site), call.waits)
            if call is not None and about is not None
            else None,
        }

    def _again(self, kind: type[T], number: int, made_of: tuple[Any, ...]) -> T | None:
        kept = self._kept.get((kind, number))
        if kept is None or kept[0] != made_of:
            return None
        again: T = kept[1]
        return again

    def _keep(self, number: int, made_of: tuple[Any, ...], made: T) -> T:
        self._kept[type(made), number] = made_of, made
        return made

    def _queued(self, steps: Steps, number: int) -> Queued:
        one = steps.greenlet(number)
        awake, site = one.awake, one.wait.site if one.wait is not None else 0
        by = awake.by if awake is not None else 0
        made_of = awake, site, steps.watchers.get(by), steps.names.get(by)
        if (again := self._again(Queued, number, made_of)) is not None:
            return again
        since = awake.since_ns - self._start if awake is not None else 0
        why = labels.why_ready(steps, number, self._table)
        return self._keep(number, made_of, Queued(number, since, why, steps.numbers.site(site)))

    def _waiting(self, steps: Steps, one: Greenlet) -> Waiting:
        wait = one.wait
        assert wait is not None  # it is parked
        awaits = steps.in_hand(wait)
        armed, watched = steps.armed.get(wait.resource), steps.watchers.get(wait.resource)
        made_of = wait, armed, watched, awaits, steps.names.get(awaits)
        if (again := self._again(Waiting, one.number, made_of)) is not None:
            return again
        wait = wait._replace(awaits=awaits)
        watcher = wait.resource if wait.reason in _WATCHED and wait.resource else None
        is_timer = wait.reason == Wait.TIMER
        made = Waiting(
            one.number,
            labels.reason_of(Kind.GREENLET_PARK, wait.reason) or "other",
            labels.waits(steps, wait, self._table),
            wait.since_ns - self._start,
            wait.deadline_ns - self._start if wait.deadline_ns else None,
            None if is_timer else watcher,
            watcher if is_timer else None,
            On("watcher", watcher, None)
            if wait.reason in _WATCHED
            else On(_ON.get(wait.reason, "other"), wait.resource or None, awaits or None),
            steps.numbers.site(wait.site),
        )
        return self._keep(one.number, made_of, made)

    def _watching(self, steps: Steps, armed: Armed) -> Watching:
        watched = steps.watchers.get(armed.watcher)
        made_of = armed, watched, steps.hub
        if (again := self._again(Watching, armed.watcher, made_of)) is not None:
            return again
        kind = Watch(armed.watch).name.lower() if armed.watch in Watch._value2member_map_ else "other"
        due = armed.due_ns - self._start if armed.due_ns else None
        peer = watched.peer or None if watched is not None else None
        since = armed.since_ns - self._start
        made = Watching(armed.watcher, kind, armed.fd, peer, armed.owner or steps.hub, armed.fired, due, since)
        return self._keep(armed.watcher, made_of, made)
