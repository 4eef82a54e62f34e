"""The fold, one event at a time in plain Python: what the vectorised one is held to.

Slow, and simple enough to be read: each handler says what one kind of event does. It forgets nothing.
"""

from __future__ import annotations

import contextlib
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from greenscope.trace.analysis import POLL, Span, Stall, State, Watcher
from greenscope.trace.analysis.states import TRANSITIONS, Life
from greenscope.trace.events import FOR_ONE, NO_FD, Exit, Kind, Ready, Spawn, Wait, Watch, unpack
from greenscope.trace.records import END_OF_TIME, Event, Gap, GreenletSlot

_TABLE_STATES = {"spawned": Life.SPAWNED, "ready": Life.READY, "running": Life.RUNNING, "waiting": Life.WAITING}
_SECOND = 1_000_000_000


class Lane:
    """The spans of one greenlet, oldest first."""

    def __init__(self, greenlet: int) -> None:
        self.greenlet = greenlet
        self.name = "?"
        self.numbered = True
        self.parent = 0
        self.spawn_reason = 0
        self.spawn_site = 0
        self.site = 0  # where it last parked
        self.timer_due = 0  # when the timer that it last started is due
        self.life = Life.UNKNOWN
        self.exit: int | None = None
        self.ended_at = 0
        self.switches = 0
        self.run_time = 0
        self.open: Span | None = None
        self.spans: list[Span] = []

    @property
    def label(self) -> str:
        return f"{self.name} #{self.greenlet}" if self.numbered else self.name

    @property
    def ends(self) -> int:
        return self.spans[-1].end if self.spans else 0

    def finish(self, at: int) -> None:
        span = self.open
        if span is None:
            return
        self.open = None
        span.end = max(at, span.start)
        if span.state in (State.RUNNING, State.STALLED):
            self.run_time += span.end - span.start
        self.spans.append(span)


class ReferenceTimeline:
    """Every greenlet's lane, and what the hub's events come to."""

    def __init__(self, start: int, name: Callable[[int], str], stall_ns: int) -> None:
        self.start = start
        self.stall_ns = stall_ns
        self.lanes: dict[int, Lane] = {}
        self.living: dict[int, Lane] = {}
        self.exited: list[Lane] = []  # in the order of their ends
        self.hub = 0
        self.events = 0
        self.lost = 0
        self.gaps = 0
        self.illegal = 0
        self.switches = 0
        self.run_time = 0
        self.last = start
        self.stalls: deque[Stall] = deque(maxlen=1000)
        self.stall_count = 0
        self.longest_stall: Stall | None = None
        self.watchers: dict[int, Watcher] = {}
        self.latencies: list[tuple[int, int]] = []
        self.absences: list[tuple[int, int]] = []
        self._name = name
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

    @property
    def running(self) -> int:
        """The greenlet that runs, 0 for none or the hub."""
        return self._running

    @property
    def ready_count(self) -> int:
        """How many greenlets are ready and wait for the hub."""
        return self._ready

    # -- greenlets ------------------------------------------------------------------------------

    def _lane(self, greenlet: int) -> Lane:
        """The lane of a greenlet that does something, and so lives."""
        lane = self.lanes.get(greenlet)
        if lane is None:
            lane = self.lanes[greenlet] = self.living[greenlet] = Lane(greenlet)
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
            self.latencies.append((event.time_ns, event.time_ns - lane.open.start))
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
        fd = event.aux - 1 if event.reason not in FOR_ONE else -1
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
            self.absences.append((self._poll_ended, event.time_ns))
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

    def _start_watcher(self, event: Event) -> None:
        if event.reason == Watch.TIMER:
            self._lane(event.greenlet).timer_due = event.time_ns + unpack(event.arg)[1] * 1_000_000

    def _close_watcher(self, event: Event) -> None:
        self.watchers.pop(unpack(event.arg)[0], None)

    # -- losses ---------------------------------------------------------------------------------

    def _gap(self, gap: Gap, following: int, table: Iterable[GreenletSlot]) -> None:
        self.gaps += 1
        self.lost += gap.lost
        table = list(table)
        slots = {slot.greenlet: slot for slot in table}
        self._ready = self._running = self._poll_ended = 0
        for lane in sorted(self.living.values(), key=lambda lane: lane.greenlet):
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
        for slot in table:
            if slot.fd is not None and slot.resource and slot.state != "free":
                writes = slot.state == "waiting" and slot.reason == Wait.WRITE
                watch = Watch.WRITE if writes else Watch.READ
                self.watchers.setdefault(slot.resource, Watcher(watch, slot.fd, slot.peer))

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
        lane.switches = max(lane.switches, min(slot.switches, END_OF_TIME - 1))
        lane.run_time = max(lane.run_time, min(slot.run_ns, END_OF_TIME - 1))
        self._ready += lane.life is Life.READY
        if lane.life is Life.RUNNING:
            self._running = slot.greenlet
        if lane.open is None:
            lane.open = _span_of(slot, max(slot.since_ns, lane.ends))


def _ended_at(lane: Lane) -> int:
    return lane.ended_at


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
