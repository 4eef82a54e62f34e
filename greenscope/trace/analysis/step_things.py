"""What greenlets have: watchers that are armed, timeouts that count, calls that are open, locks that are held.

The half of ``Steps`` that no switch changes. What a number stands for is kept as long as it may be named
again, within bounds: whose end was lost is dropped some day.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from greenscope.trace.analysis.model import HUB, Numbers
from greenscope.trace.analysis.shared import Shared
from greenscope.trace.analysis.step_parts import Armed, Call, Counting, Greenlet, Held, Job, Watched
from greenscope.trace.events import NO_FD, Detail, Kind, Resource, Wait, Watch, unpack
from greenscope.trace.records import Event, GreenletSlot

__all__ = ["Things"]

_KEEP = 1 << 16
_MOST_OF_ONE = 1 << 12  # watchers of a greenlet, holders of a semaphore
_HELD = frozenset({Resource.LOCK, Resource.RLOCK, Resource.SEMAPHORE})  # queues and events are held by nobody
_OF_FD = frozenset({Watch.READ, Watch.WRITE})
_DEEPEST = 8  # calls within calls; there are two


class Things:
    """All of one ring; arguments as of ``Steps``."""

    __slots__ = (
        "armed",
        "callback",
        "calls",
        "detail",
        "greenlets",
        "held",
        "hub",
        "jobs",
        "names",
        "numbers",
        "over",
        "owners",
        "requests",
        "spans",
        "stalled",
        "timeouts",
        "watchers",
    )

    def __init__(self, numbers: Numbers) -> None:
        self.numbers = numbers
        self.hub = HUB
        self.greenlets: dict[int, Greenlet] = {}
        """The living ones that were heard of, but for the hub."""
        self.names: Shared[str] = Shared()
        self.watchers: Shared[Watched] = Shared()
        self.armed: dict[int, Armed] = {}
        self.owners: dict[int, tuple[int, ...]] = {}
        """Of each greenlet that armed watchers: which."""
        self.timeouts: dict[int, Counting] = {}
        self.over: dict[int, Counting] = {}
        """Of a greenlet: the timeout whose time is over, and which is about to be raised in it."""
        self.calls: dict[int, tuple[Call, ...]] = {}
        """The open calls of each greenlet, the outermost first: a handshake may be part of a connect."""
        self.held: dict[int, Held] = {}
        """Who holds a lock or a semaphore. Below level ``io`` it is known only while somebody waits for it."""
        self.jobs: dict[int, Job] = {}
        self.spans: dict[int, int] = {}
        """Of an open span: its name (string)."""
        self.requests: dict[int, str] = {}
        """Of an open request: its text."""
        self.callback: int | None = None
        """What the hub calls: a function's name (string), 0 if it has none; None: nothing."""
        self.stalled = 0
        """Who does not give the hub its turn; 0: nobody."""
        self.detail = -1
        """The level, as far as it is known; -1: not."""

    def call(self, number: int) -> Call | None:
        """The call of a socket that a greenlet is in, the innermost."""
        calls = self.calls.get(number)
        return calls[-1] if calls else None

    def holder(self, resource: int) -> int:
        """Who holds a lock; 0 if nobody does, several do, or that is not known."""
        held = self.held.get(resource)
        return held.holders[0] if held is not None and len(held.holders) == 1 else 0

    # -- watchers and timeouts --------------------------------------------------------------------

    def _open(self, event: Event) -> None:
        watcher, high = unpack(event.arg)
        self.watchers[watcher] = Watched(event.reason, _fd(event.reason, high), event.text, event.aux)
        _bound(self.watchers)

    def _start(self, event: Event) -> None:
        watcher, high = unpack(event.arg)
        owner = event.greenlet if event.greenlet != self.hub else 0
        if len(self.owners.get(owner, ())) >= _MOST_OF_ONE:
            owner = 0  # it cannot wait on so many
        if owner and owner not in self.greenlets:
            self.greenlets[owner] = Greenlet(owner)
        self._disarm(watcher)
        fd = _fd(event.reason, high)
        if watcher not in self.watchers:
            self.watchers[watcher] = Watched(event.reason, fd)
        ms = high if event.reason == Watch.TIMER else 0
        self.armed[watcher] = Armed(watcher, event.reason, fd, owner, ms, event.site, event.time_ns)
        if owner:
            self.owners[owner] = (*self.owners.get(owner, ()), watcher)
        if len(self.armed) > _KEEP:  # that many are not armed: where they were stopped was lost
            self._disarm(next(iter(self.armed)))

    def _fire(self, event: Event) -> None:
        watcher = unpack(event.arg)[0]
        if watcher in self.armed:
            self.armed[watcher] = self.armed[watcher]._replace(fired=True)

    def _stop(self, event: Event) -> None:
        self._disarm(unpack(event.arg)[0])

    def _close(self, event: Event) -> None:
        self._stop(event)
        self.watchers.pop(unpack(event.arg)[0], None)

    def _disarm(self, watcher: int) -> None:
        armed = self.armed.pop(watcher, None)
        if armed is not None and armed.owner:
            rest = tuple(one for one in self.owners.get(armed.owner, ()) if one != watcher)
            if rest:
                self.owners[armed.owner] = rest
            else:
                self.owners.pop(armed.owner, None)

    def _bequeath(self, owner: int) -> None:
        """What one armed that ends was armed to have a function called, which is the hub's business."""
        for watcher in self.owners.pop(owner, ()):
            armed = self.armed.get(watcher)
            if armed is not None and armed.owner == owner:
                self.armed[watcher] = armed._replace(owner=0)

    def _timeout_start(self, event: Event) -> None:
        number, ms = unpack(event.arg)
        due = event.time_ns + ms * 1_000_000
        self.timeouts[number] = Counting(number, event.greenlet, event.reason, ms, due, event.site)
        _bound(self.timeouts)

    def _timeout_fire(self, event: Event) -> None:
        timeout = self.timeouts.pop(event.arg, None)
        if timeout is not None:
            self.over[timeout.owner] = timeout
            _bound(self.over)

    def _timeout_cancel(self, event: Event) -> None:
        self.timeouts.pop(event.arg, None)

    def _job_put(self, event: Event) -> None:
        job, called = unpack(event.arg)
        self.jobs[job] = Job(called, event.greenlet, event.reason)
        _bound(self.jobs)

    def _job_end(self, event: Event) -> None:
        self.jobs.pop(unpack(event.arg)[0], None)

    # -- who holds what, and calls --------------------------------------------------------------

    def _acquire(self, event: Event) -> None:
        self._records(Detail.SWITCH if event.aux else Detail.IO)
        resource = unpack(event.arg)[0]
        held = self.held.get(resource)
        holders = held.holders if held is not None else ()
        if event.reason in _HELD and not (event.aux and event.greenlet in holders):
            self.held[resource] = Held(event.reason, (*holders[1 - _MOST_OF_ONE :], event.greenlet))
            _bound(self.held)

    def _release(self, event: Event) -> None:
        self._records(Detail.IO)
        resource = unpack(event.arg)[0]
        held = self.held.pop(resource, None)
        if held is None:
            return
        holders = list(held.holders)
        # A semaphore may be released by another: for whom is not said, so for the one that has held it longest.
        holders.remove(event.greenlet if event.greenlet in holders else holders[0])
        if holders:
            self.held[resource] = held._replace(holders=tuple(holders))

    def _hand_on(self, resource: int, woken: int, others: int) -> None:
        """Who is woken from a wait for a lock holds it next. When it lets go is told only if somebody waits."""
        held = self.held.pop(resource, None)
        if others:
            self.held[resource] = Held(held.what if held is not None else Resource.OTHER, (woken,))

    def _op_begin(self, event: Event) -> None:
        self._records(Detail.IO)
        watcher, high = unpack(event.arg)
        call = Call(event.reason, high if high != NO_FD else None, watcher, bool(event.aux), event.site, event.time_ns)
        self.calls[event.greenlet] = (*self.calls.get(event.greenlet, ())[1 - _DEEPEST :], call)
        _bound(self.calls)

    def _op_end(self, event: Event) -> None:
        self._records(Detail.IO)
        calls = self.calls.pop(event.greenlet, ())[:-1]
        if calls:
            self.calls[event.greenlet] = calls

    # -- notes, stalls, the level ---------------------------------------------------------------

    def _span_begin(self, event: Event) -> None:
        span, name = unpack(event.arg)
        self.spans[span] = name
        _bound(self.spans)

    def _span_end(self, event: Event) -> None:
        self.spans.pop(unpack(event.arg)[0], None)

    def _request_begin(self, event: Event) -> None:
        self.requests[unpack(event.arg)[0]] = event.text
        _bound(self.requests)

    def _request_end(self, event: Event) -> None:
        self.requests.pop(unpack(event.arg)[0], None)

    def _stall(self, event: Event) -> None:
        self.stalled = event.greenlet if event.kind == Kind.STALL_BEGIN else 0

    def _detail(self, event: Event) -> None:
        if event.reason < Detail.IO <= event.aux:  # what is held and called from here on is not told
            self.held.clear()
            self.calls.clear()
        self.detail = event.reason

    def _records(self, level: Detail) -> None:
        self.detail = max(self.detail, level)

    def _name(self, event: Event) -> None:
        name = self.numbers.string(event.arg)
        self.names[event.greenlet] = f"{name} #{event.greenlet}" if event.aux else name
        if len(self.names) > _KEEP and not len(self.names) % 4096:
            for number in [one for one in self.names if one not in self.greenlets and one != self.hub][: _KEEP // 2]:
                del self.names[number]

    def _learn_slot(self, slot: GreenletSlot) -> None:
        if slot.state == "free":
            return
        self.names[slot.greenlet] = f"{slot.name} #{slot.greenlet}" if slot.numbered else slot.name
        if slot.fd is not None and slot.resource:
            writes = slot.state == "waiting" and slot.reason == Wait.WRITE
            self.watchers[slot.resource] = Watched(Watch.WRITE if writes else Watch.READ, slot.fd, slot.peer)


def _fd(watch: int, high: int) -> int | None:
    return high if watch in _OF_FD and high != NO_FD else None


def _bound(mapping: MutableMapping[int, Any]) -> None:
    if len(mapping) > _KEEP:
        for key in list(mapping)[: _KEEP // 2]:
            del mapping[key]
