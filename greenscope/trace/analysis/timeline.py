"""Folds events into lanes of spans, one at a time: folding in pieces gives what folding at once gives.

No clock, no I/O: time is what the events say, and "now" is an argument wherever it matters. After a
gap nobody's state is known; the greenlet table, read after the gap, says it for whoever has not
changed since, and the events to come say it for the rest.
"""

from __future__ import annotations

import contextlib
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from greenscope.trace.analysis.lane import Lane, Span
from greenscope.trace.analysis.latency import AwaySeries, LatencyHistogram
from greenscope.trace.analysis.states import POLL, TRANSITIONS, Life, State
from greenscope.trace.events import NO_FD, Exit, Kind, Ready, Spawn, Wait, Watch, unpack
from greenscope.trace.records import END_OF_TIME, Event, Gap, GreenletSlot

__all__ = ["DEFAULT_STALL_NS", "Stall", "Timeline", "Watcher"]

DEFAULT_STALL_NS = 100_000_000
_TABLE_STATES = {"spawned": Life.SPAWNED, "ready": Life.READY, "running": Life.RUNNING, "waiting": Life.WAITING}
_KEEP_STALLS = 1000
_KEEP_WATCHERS = 1 << 17
_LANE_IN_SPANS = 16  # a lane takes as much memory as so many spans
_SWEEP_LANES = 4000  # so many are looked through at a time, in a few milliseconds


@dataclass(frozen=True, slots=True)
class Stall:
    """A greenlet that ran for longer than the threshold without switching."""

    greenlet: int
    name: str
    start: int
    end: int
    ready: int
    """How many greenlets were ready when it ended, or were found to be at the poll that came next."""
    before: int
    """Site where it went on, 0 for unknown."""
    after: int
    """Site where it parked in the end, 0 if it exited."""


@dataclass(frozen=True, slots=True)
class Watcher:
    """What a watcher's number stands for."""

    watch: int
    fd: int | None
    peer: str


class Timeline:
    """Every greenlet's lane, and what the hub's events come to.

    Args:
        start: when the ring began (CLOCK_MONOTONIC ns).
        name: gives the text of a string's number.
        stall_ns: a run this long is a stall.
        keep_spans: about how many spans are kept before the oldest are forgotten; a lane counts as 16.
    """

    def __init__(
        self,
        start: int,
        name: Callable[[int], str],
        stall_ns: int = DEFAULT_STALL_NS,
        keep_spans: int = 1_000_000,
    ) -> None:
        self.start = start
        self.stall_ns = stall_ns
        self.lanes: dict[int, Lane] = {}
        self.living: dict[int, Lane] = {}
        self.exited: list[Lane] = []  # in the order of their ends, which lanes_in() relies on
        self.hub = 0
        self.events = 0
        self.lost = 0
        self.gaps = 0
        self.illegal = 0
        self.switches = 0
        self.run_time = 0
        self.last = start
        self.stalls: deque[Stall] = deque(maxlen=_KEEP_STALLS)
        self.stall_count = 0
        self.longest_stall: Stall | None = None
        self.watchers: dict[int, Watcher] = {}
        self.latency = LatencyHistogram()
        self.away = AwaySeries(start)
        self.forgotten_until = 0
        self._name = name
        self._keep = keep_spans
        self._spans = 0
        self._sweep: list[Lane] = []  # still to be looked through for what is older than forgotten_until
        self._ready = 0
        self._running = 0
        self._poll_ended = 0
        self._stall_open = False
        self._handlers: dict[int, Callable[[Event], None]] = {
            Kind.GREENLET_SPAWN: self._spawn,
            Kind.GREENLET_NAME: self._rename,
            Kind.GREENLET_READY: self._make_ready,
            Kind.GREENLET_SWITCH: self._run,
            Kind.GREENLET_THROW: self._run,
            Kind.GREENLET_PARK: self._park,
            Kind.GREENLET_EXIT: self._exit,
            Kind.WATCHER_OPEN: self._open_watcher,
            Kind.WATCHER_START: self._start_watcher,
            Kind.WATCHER_CLOSE: self._close_watcher,
            Kind.POLL_BEGIN: self._begin_poll,
            Kind.POLL_END: self._end_poll,
        }

    def apply(self, records: Sequence[Event | Gap], table: Iterable[GreenletSlot] = ()) -> None:
        """Fold what a reader gave.

        Args:
            records: in the order of the ring.
            table: the greenlet table, read after them; used if there is a gap among them.
        """
        handlers = self._handlers
        for index, record in enumerate(records):
            if isinstance(record, Gap):
                times = (r.time_ns for r in records[index:] if isinstance(r, Event) and r.time_ns < END_OF_TIME)
                self._gap(record, max(next(times, 0), self.last), table)
                continue
            self.events += 1
            event = record
            if event.time_ns < self.last:
                # A finalizer that ran while the event was made has written one before it; or the file
                # is damaged. Lanes are searched by time, so they never go back.
                event = event._replace(time_ns=self.last)
            elif event.time_ns >= END_OF_TIME:  # a damaged file
                self.illegal += 1
                continue
            self.last = event.time_ns
            handler = handlers.get(event.kind)
            if handler is not None:
                handler(event)
        self._forget()

    @property
    def running(self) -> int:
        """The greenlet that runs, 0 for none or the hub."""
        return self._running

    @property
    def ready_count(self) -> int:
        """How many greenlets are ready and wait for the hub."""
        return self._ready

    def away_since(self) -> int:
        """When the hub last came back from its poll; 0 while it is in it."""
        return self._poll_ended

    def stall_now(self, now: int) -> Stall | None:
        """The stall that goes on, if one does."""
        lane = self.lanes.get(self._running)
        if lane is None or lane.open is None or now - lane.open.start < self.stall_ns:
            return None
        return Stall(lane.greenlet, lane.label, lane.open.start, 0, self._ready, lane.open.site, 0)

    # -- greenlets ------------------------------------------------------------------------------

    def _lane(self, greenlet: int) -> Lane:
        """The lane of a greenlet that does something, and so lives."""
        lane = self.lanes.get(greenlet)
        if lane is None:
            lane = self.lanes[greenlet] = self.living[greenlet] = Lane(greenlet)
            self._spans += _LANE_IN_SPANS
        elif lane.exit is not None:
            self._revive(lane)
        return lane

    def _revive(self, lane: Lane) -> None:
        """A greenlet was taken for gone, because the table after a gap did not have it."""
        first = bisect_left(self.exited, lane.ended_at, key=_ended_at)
        with contextlib.suppress(ValueError):  # it is about to be forgotten
            del self.exited[self.exited.index(lane, first)]
        lane.exit = None
        self.living[lane.greenlet] = lane

    def _step(self, lane: Lane, event: Event) -> Life:
        """Where the greenlet was; it goes where the event says, and what is not legal is counted."""
        before = lane.life
        after = TRANSITIONS.get((before, Kind(event.kind)))
        if after is None:
            if before is not Life.UNKNOWN:
                self.illegal += 1
            after = _AFTER[event.kind]
        self._become(lane, after)
        return before

    def _become(self, lane: Lane, life: Life) -> None:
        self._ready += (life is Life.READY) - (lane.life is Life.READY)
        lane.life = life

    def _change(self, lane: Lane, span: Span) -> None:
        if lane.open is not None:
            self._finish(lane, span.start)
        lane.open = span

    def _finish(self, lane: Lane, at: int, after: int = 0) -> None:
        open_span = lane.open
        if open_span is None:
            return
        if open_span.state is State.RUNNING and lane.greenlet != self.hub:
            length = at - open_span.start
            self.run_time += length
            if length >= self.stall_ns:
                open_span.state = State.STALLED
                self._stalled(Stall(lane.greenlet, lane.label, open_span.start, at, self._ready, open_span.site, after))
        lane.finish(at)
        self._spans += 1

    def _stalled(self, stall: Stall) -> None:
        self.stalls.append(stall)
        self._stall_open = True
        self.stall_count += 1
        longest = self.longest_stall
        if longest is None or stall.end - stall.start > longest.end - longest.start:
            self.longest_stall = stall

    def _spawn(self, event: Event) -> None:
        lane = self._lane(event.greenlet)
        lane.parent, lane.spawn_reason, lane.spawn_site = event.arg, event.reason, event.site
        if event.reason == Spawn.HUB:
            self.hub = event.greenlet
        self._become(lane, Life.SPAWNED)

    def _rename(self, event: Event) -> None:
        lane = self.lanes.get(event.greenlet)
        if lane is None:
            lane = self._lane(event.greenlet)
        lane.name, lane.numbered = self._name(event.arg), bool(event.aux)

    def _make_ready(self, event: Event) -> None:
        lane = self._lane(event.greenlet)
        if self._step(lane, event) is not Life.READY:  # made ready twice, it has been ready since the first time
            self._change(lane, Span(event.time_ns, State.READY, event.reason, by=event.arg, peer=self._who(event)))

    def _who(self, event: Event) -> str:
        if event.reason == Ready.WATCHER:
            watcher = self.watchers.get(event.arg)
            if watcher is not None:
                return watcher.peer
        return ""

    def _run(self, event: Event) -> None:
        if event.greenlet == self.hub:
            return
        if self._running and self._running != event.greenlet:
            self.illegal += 1  # exactly one runs
            other = self._lane(self._running)
            self._finish(other, event.time_ns)
            self._become(other, Life.UNKNOWN)
        lane = self._lane(event.greenlet)
        before = self._step(lane, event)
        if before is Life.READY and lane.open is not None:
            self.latency.add(event.time_ns, event.time_ns - lane.open.start)
        thrown = int(event.kind == Kind.GREENLET_THROW)
        self._change(lane, Span(event.time_ns, State.RUNNING, thrown, site=lane.site))
        lane.switches += 1
        self.switches += 1
        self._running = event.greenlet
        hub = self.lanes.get(self.hub)
        if hub is not None:
            self._finish(hub, event.time_ns)

    def _park(self, event: Event) -> None:
        lane = self._lane(event.greenlet)
        self._step(lane, event)
        resource, milliseconds = unpack(event.arg)
        watcher = self.watchers.get(resource)
        fd = event.aux - 1
        if watcher is not None and watcher.fd is not None:
            fd = watcher.fd
        deadline = event.time_ns + milliseconds * 1_000_000 if milliseconds else 0
        if event.reason == Wait.TIMER and not deadline:
            deadline = lane.timer_due
        self._finish(lane, event.time_ns, after=event.site)
        lane.site = event.site
        lane.open = Span(
            event.time_ns,
            State.WAITING,
            event.reason,
            resource=resource,
            fd=fd,
            deadline=deadline,
            site=event.site,
            peer=watcher.peer if watcher else "",
        )
        self._back_to_hub(event)

    def _exit(self, event: Event) -> None:
        lane = self._lane(event.greenlet)
        self._step(lane, event)
        self._finish(lane, event.time_ns)
        self._end(lane, event.reason, event.time_ns)
        if self._running == event.greenlet:
            self._back_to_hub(event)

    def _end(self, lane: Lane, how: int, at: int) -> None:
        del self.living[lane.greenlet]
        self.exited.append(lane)
        lane.exit, lane.ended_at = how, at

    # -- the hub --------------------------------------------------------------------------------

    def _back_to_hub(self, event: Event) -> None:
        self._running = 0
        if self.hub:
            self._change(self._lane(self.hub), Span(event.time_ns, State.RUNNING))

    def _begin_poll(self, event: Event) -> None:
        if self._poll_ended:
            self.away.add(self._poll_ended, event.time_ns)
            self._poll_ended = 0
        self.hub = event.greenlet
        self._running = 0
        self._change(self._lane(event.greenlet), Span(event.time_ns, State.WAITING, POLL))

    def _end_poll(self, event: Event) -> None:
        if self._stall_open:
            # Whose news came meanwhile shows only now, when the kernel is asked.
            self._stall_open = False
            stall = self.stalls[-1]
            self.stalls[-1] = replace(stall, ready=stall.ready + self._ready)
            if self.longest_stall is stall:
                self.longest_stall = self.stalls[-1]
        self._poll_ended = event.time_ns
        self._change(self._lane(event.greenlet), Span(event.time_ns, State.RUNNING))

    # -- watchers -------------------------------------------------------------------------------

    def _open_watcher(self, event: Event) -> None:
        resource, fd = unpack(event.arg)
        self.watchers[resource] = Watcher(event.reason, None if fd == NO_FD else fd, event.text)
        if len(self.watchers) > _KEEP_WATCHERS:  # that many are not open: where they closed was lost
            self.watchers = dict(list(self.watchers.items())[_KEEP_WATCHERS // 2 :])

    def _start_watcher(self, event: Event) -> None:
        if event.reason == Watch.TIMER:
            self._lane(event.greenlet).timer_due = event.time_ns + unpack(event.arg)[1] * 1_000_000

    def _close_watcher(self, event: Event) -> None:
        self.watchers.pop(unpack(event.arg)[0], None)

    # -- losses ---------------------------------------------------------------------------------

    def _gap(self, gap: Gap, following: int, table: Iterable[GreenletSlot]) -> None:
        self.gaps += 1
        self.lost += gap.lost
        slots = {slot.greenlet: slot for slot in table}
        self._ready = self._running = self._poll_ended = 0
        for lane in list(self.living.values()):
            slot = slots.get(lane.greenlet)
            if slot is not None and _goes_on(lane, slot):
                continue
            self._finish(lane, self.last)
            lane.life = Life.UNKNOWN
            if slots and slot is None:
                # It exited where nobody saw it, or will exit in events to come, which say how.
                self._end(lane, Exit.RETURNED, self.last)
        for slot in slots.values():
            self._seed(slot, following)

    def _seed(self, slot: GreenletSlot, following: int) -> None:
        """Take up a greenlet from the table, as far as that says what was true at ``following``."""
        lane = self._lane(slot.greenlet)
        lane.name, lane.numbered, lane.parent = slot.name, slot.numbered, slot.parent
        lane.spawn_reason, lane.spawn_site = slot.spawn_reason, slot.spawn_site
        if slot.spawn_reason == Spawn.HUB:
            self.hub = slot.greenlet
            return
        if slot.since_ns > following:
            return  # its events are still to come
        lane.life = _TABLE_STATES.get(slot.state, Life.UNKNOWN)
        lane.site = slot.site
        lane.switches, lane.run_time = max(lane.switches, slot.switches), max(lane.run_time, slot.run_ns)
        self._ready += lane.life is Life.READY
        if lane.life is Life.RUNNING:
            self._running = slot.greenlet
        if lane.open is None:
            lane.open = _span_of(slot, max(slot.since_ns, lane.ends))

    # -- forgetting -----------------------------------------------------------------------------

    def _forget(self) -> None:
        """Keep memory bounded: when there is too much, drop the older half of the time kept, some lanes at a time."""
        if not self._sweep:
            if self._spans <= self._keep:
                return
            self.forgotten_until = (max(self.forgotten_until, self.start) + self.last + 1) // 2
            del self.exited[: bisect_left(self.exited, self.forgotten_until, key=_ended_at)]
            while self.stalls and self.stalls[0].end < self.forgotten_until:
                self.stalls.popleft()
            self.longest_stall = max(self.stalls, key=_duration, default=None)
            self._sweep = list(self.lanes.values())
        horizon = self.forgotten_until
        for lane in self._sweep[-_SWEEP_LANES:]:
            if lane.exit is not None and lane.ended_at < horizon:
                self._spans -= len(lane) + _LANE_IN_SPANS
                del self.lanes[lane.greenlet]
            else:
                self._spans -= lane.forget_before(horizon)
        del self._sweep[-_SWEEP_LANES:]


def _ended_at(lane: Lane) -> int:
    return lane.ended_at


def _duration(stall: Stall) -> int:
    return stall.end - stall.start


def _goes_on(lane: Lane, slot: GreenletSlot) -> bool:
    """Whether a greenlet is still in the state it was in before the gap."""
    return lane.open is not None and lane.open.start == slot.since_ns and lane.life is _TABLE_STATES.get(slot.state)


def _span_of(slot: GreenletSlot, start: int) -> Span | None:
    """What the table says that a greenlet does."""
    match slot.state:
        case "waiting":
            return Span(
                start,
                State.WAITING,
                slot.reason,
                resource=slot.resource,
                fd=-1 if slot.fd is None else slot.fd,
                deadline=slot.deadline_ns,
                site=slot.site,
                peer=slot.peer,
            )
        case "ready":
            return Span(start, State.READY, slot.reason)
        case "running":
            return Span(start, State.RUNNING, site=slot.site)
    return None


_AFTER: dict[int, Life] = {
    Kind.GREENLET_READY: Life.READY,
    Kind.GREENLET_SWITCH: Life.RUNNING,
    Kind.GREENLET_THROW: Life.RUNNING,
    Kind.GREENLET_PARK: Life.WAITING,
    Kind.GREENLET_EXIT: Life.EXITED,
}
