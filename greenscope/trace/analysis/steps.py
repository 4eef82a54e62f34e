"""What is known of a program at one moment, followed event by event: the switch model that a replay draws.

Owns who runs, who is ready in which order, who waits for what and where; and, in ``Things``, which watchers are
armed and for whom, which timeouts count, which calls of sockets are open, and who holds what. It is fed with one
event after the other, where ``Timeline`` takes a batch in columns: a million events are not stepped through by a
person, and here each of them has to be understood alone.

These hold after every event (``contradictions`` says which does not):

- Exactly one thing runs: a greenlet, or the hub; unless who does is not known, which is said.
- A parked greenlet has a reason.
- An armed watcher belongs to someone who lives: a greenlet, or the hub, if that is to call a function.
- The ready queue is the ready events minus the switches, in their order.

Life's own table says which events may follow on which; another is counted (``illegal``), and followed all the same.
Where events were lost nothing is known any more but what numbers stand for; what comes next says the rest again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any, Self

from greenscope.trace.analysis.model import Numbers
from greenscope.trace.analysis.shared import Shared
from greenscope.trace.analysis.states import TRANSITIONS, Life
from greenscope.trace.analysis.step_parts import Awake, Greenlet, Parked
from greenscope.trace.analysis.step_things import Things
from greenscope.trace.events import FOR_ONE, NOT_STARTED, Detail, Kind, Ready, Spawn, Wait, unpack
from greenscope.trace.records import Event, GreenletSlot

__all__ = ["Steps"]

_LARGE = 0xFFFF
_MAPPINGS = (
    "armed", "calls", "greenlets", "held", "jobs", "lock_waiters", "over", "owners", "queue", "requests", "spans",
    "timeouts",
)  # fmt: skip
_BY_WHO_RUNS = frozenset({
    Kind.WATCHER_OPEN, Kind.WATCHER_START, Kind.WATCHER_STOP, Kind.WATCHER_CLOSE, Kind.WATCHER_REFUSE,
    Kind.TIMEOUT_START, Kind.TIMEOUT_CANCEL, Kind.JOB_PUT, Kind.JOB_END, Kind.OP_BEGIN, Kind.OP_END,
})  # fmt: skip


class Steps(Things):
    """All that is known by now.

    Args:
        numbers: what the numbers in events stand for.
        table: the ring's greenlet table, for names and peers that were told where it was lost.
    """

    __slots__ = (
        "blocks",
        "illegal",
        "lock_waiters",
        "loop_exit",
        "lost",
        "now_ns",
        "parked_count",
        "polling",
        "queue",
        "queue_known",
        "running",
    )

    def __init__(self, numbers: Numbers, table: Iterable[GreenletSlot] = ()) -> None:
        super().__init__(numbers)
        self.running: int | None = None
        """Who runs: a greenlet, or the hub; None if that is not known."""
        self.queue: dict[int, None] = {}
        """Who is ready, in order."""
        self.queue_known = False
        """Whether nobody else is: not where the beginning was lost, until the hub blocks."""
        self.parked_count = 0
        """How many greenlets wait."""
        self.lock_waiters: dict[int, int] = {}
        """How many wait for a lock."""
        self.polling = False
        """Whether the hub asks the kernel."""
        self.blocks = False
        """Whether it blocks in that: until the kernel has said the first thing."""
        self.loop_exit = False
        """Whether LoopExit is about to be raised."""
        self.lost = 0
        """How many records were lost."""
        self.illegal = 0
        """How many events said what cannot be."""
        self.now_ns = 0
        for slot in table:
            self._learn_slot(slot)

    def copy(self) -> Self:
        """The same, to go on from; shares nothing that changes."""
        other = object.__new__(type(self))
        for name in (*Things.__slots__, *Steps.__slots__):
            value = getattr(self, name)
            setattr(other, name, value.copy() if isinstance(value, (dict, Shared)) else value)
        return other

    @property
    def size(self) -> int:
        """How many entries a copy has."""
        return sum(len(getattr(self, name)) for name in _MAPPINGS) + self.names.entries + self.watchers.entries

    # -- what comes -----------------------------------------------------------------------------

    def apply(self, event: Event) -> None:
        """Take in the next event."""
        self.now_ns = max(self.now_ns, event.time_ns)
        self.blocks = False
        if self.running is None and event.kind in _BY_WHO_RUNS and event.greenlet:
            self._goes_on(event.greenlet)
        handle = _HANDLERS.get(event.kind)
        if handle is not None:
            handle(self, event)

    def lose(self, records: int) -> None:
        """So many records were lost here: what they changed is not known any more."""
        self.lost += records
        self.running = None
        for mapping in (
            self.greenlets, self.queue, self.armed, self.owners, self.timeouts, self.over, self.calls, self.held,
            self.jobs, self.lock_waiters,
        ):  # fmt: skip
            mapping.clear()
        self.polling = self.blocks = self.loop_exit = self.queue_known = False
        self.callback, self.stalled, self.parked_count = None, 0, 0

    def expect(self, event: Event) -> None:
        """Take the name of a greenlet that has none yet from an event to come: a spawn comes before its name."""
        if event.kind == Kind.GREENLET_NAME and event.greenlet not in self.names:
            self._name(event)

    # -- what is asked --------------------------------------------------------------------------

    def parked(self, most: int | None = None) -> list[Greenlet]:
        """Who waits, in the order in which they were heard of first; at most so many."""
        waiting = (one for one in self.greenlets.values() if one.life is Life.WAITING)
        return list(islice(waiting, self.parked_count if most is None else min(most, self.parked_count)))

    @property
    def first(self) -> int:
        """Who is first in the ready queue; 0 if nobody is ready."""
        return next(iter(self.queue), 0)

    def greenlet(self, number: int) -> Greenlet:
        """What is known of one."""
        return self.greenlets.get(number) or Greenlet(number)

    def in_hand(self, wait: Parked) -> int:
        """Who has in its hand what is waited for, by now: who holds the lock, or is to end; 0 if nobody is known.

        Whom the wait itself named may have let go of the lock since. And of several whose ends are waited for it named
        one, which may be over.
        """
        if wait.reason == Wait.LOCK and (holder := self.holder(wait.resource)):
            return holder
        is_told = wait.reason == Wait.LOCK and self.detail >= Detail.IO
        return wait.awaits if wait.awaits in self.greenlets and not is_told else 0

    def contradictions(self) -> list[str]:
        """Which of the rules at the top does not hold, in words; none, if this module is right."""
        lives = self.greenlets.values()
        run = [one.number for one in lives if one.life is Life.RUNNING]
        wrong = []
        if run != ([] if self.running in (None, self.hub) else [self.running]):
            wrong.append(f"{self.running} runs, and so do {run}")
        wrong += [f"{one.number} waits for nothing" for one in lives if one.life is Life.WAITING and one.wait is None]
        wrong += [
            f"{one.watcher} belongs to nobody"
            for one in self.armed.values()
            if one.owner and one.owner not in self.greenlets
        ]
        if sorted(self.queue) != sorted(one.number for one in lives if one.life is Life.READY):
            wrong.append(f"the ready queue is {list(self.queue)}")
        if any(one.awake is None for one in lives if one.life is Life.READY):
            wrong.append("one is ready for no reason")
        waiting = sum(one.life is Life.WAITING for one in lives)
        if waiting != self.parked_count:
            wrong.append(f"{waiting} wait, and {self.parked_count} are counted")
        return wrong

    # -- who runs -------------------------------------------------------------------------------

    def _goes_on(self, number: int) -> None:
        """From here on this one runs, the hub or a greenlet; nobody else does."""
        before = self.running
        if before is not None and before not in (self.hub, number):  # it did not say what it does instead
            raw = Spawn.RAW in (self.greenlet(before).spawn, self.greenlet(number).spawn)
            self.illegal += not raw  # a raw greenlet is switched to without the hub, and returns without a word
            gone = raw and self.greenlet(before).spawn == Spawn.RAW and before not in self.owners
            self._put(
                before, None if gone else self.greenlet(before)._replace(life=Life.UNKNOWN, wait=None, awake=None)
            )
        self.running = number
        if number != self.hub:
            self._set(number, life=Life.RUNNING, has_run=True, wait=None, awake=None)

    def _set(self, number: int | None, **changes: Any) -> None:
        if number is not None:
            self._put(number, self.greenlet(number)._replace(**changes))

    def _put(self, number: int, now: Greenlet | None) -> None:
        """What is known of a greenlet from here on; None: it is gone."""
        self._count(self.greenlets.get(number), -1)
        self._count(now, 1)
        if now is not None:
            self.greenlets[number] = now
        else:
            self.greenlets.pop(number, None)
        if now is None or now.life is not Life.READY:
            self.queue.pop(number, None)
        else:
            self.queue.setdefault(number)

    def _count(self, one: Greenlet | None, more: int) -> None:
        if one is None or one.life is not Life.WAITING:
            return
        self.parked_count += more
        if one.wait is not None and one.wait.reason == Wait.LOCK:
            count = self.lock_waiters.get(one.wait.resource, 0) + more
            if count:
                self.lock_waiters[one.wait.resource] = count
            else:
                self.lock_waiters.pop(one.wait.resource, None)

    def _is_hub(self, number: int) -> None:
        if number == self.hub:
            return
        was, self.hub = self.hub, number
        if self.running in (was, number):
            self.running = number
        self._put(number, None)
        self._bequeath(number)

    def _steps(self, event: Event) -> bool:
        """Whether an event is about a greenlet that can do so; counts one that may not."""
        if event.greenlet == self.hub:
            self.illegal += 1
            return False
        life = self.greenlet(event.greenlet).life
        if life is not Life.UNKNOWN and (life, event.kind) not in TRANSITIONS:
            self.illegal += 1
        return True

    def _spawn(self, event: Event) -> None:
        number = event.greenlet
        if event.reason == Spawn.HUB:
            self._is_hub(number)
            self.queue_known = True
            self.running = number if self.running is None else self.running
            return
        if number == self.hub:
            self.illegal += 1
            return
        if self.running == number:
            self.running = None
        has_run = event.reason != Spawn.GREENLET
        self._put(number, Greenlet(number, Life.SPAWNED, event.reason, event.arg, event.site, has_run))

    def _ready(self, event: Event) -> None:
        if not self._steps(event):
            return
        number = event.greenlet
        if self.running == number:
            self.running = None
        wait = self.greenlet(number).wait
        if wait is not None and wait.reason == Wait.LOCK and event.reason == Ready.GREENLET and self.detail < Detail.IO:
            self._hand_on(wait.resource, number, self.lock_waiters.get(wait.resource, 0) - 1)
        self._set(number, life=Life.READY, awake=Awake(event.reason, event.arg, event.time_ns))

    def _switch(self, event: Event) -> None:
        if self._steps(event):
            self._goes_on(event.greenlet)
            self.polling = False
            if event.kind == Kind.GREENLET_THROW:
                self.loop_exit = False
                self.over.pop(event.greenlet, None)

    def _park(self, event: Event) -> None:
        if not self._steps(event):
            return
        number = event.greenlet
        call = self.call(number)
        if call is not None:
            self.calls[number] = (*self.calls[number][:-1], call._replace(waits=call.waits + 1))
        if self.running != number:  # another one ran: it does not, either
            self._goes_on(self.hub)
        self.running = self.hub
        self._set(number, life=Life.WAITING, has_run=True, wait=self.wait_of(event), awake=None)

    def wait_of(self, event: Event) -> Parked:
        """What a ``greenlet_park`` says that it waits for."""
        resource, ms = unpack(event.arg)
        deadline = event.time_ns + ms * 1_000_000 if ms else 0
        fd, awaits = None, 0
        if event.reason in FOR_ONE:
            awaits = event.aux if event.aux not in (_LARGE, NOT_STARTED) else 0
        elif event.aux == _LARGE:
            watched = self.watchers.get(resource)
            fd = watched.fd if watched is not None else None
        elif event.aux:
            fd = event.aux - 1
        return Parked(event.reason, resource, fd, deadline, awaits, event.site, event.time_ns)

    def _exit(self, event: Event) -> None:
        if not self._steps(event):
            return
        number = event.greenlet
        if self.running == number:
            self.running = self.hub
        self._put(number, None)
        self.calls.pop(number, None)
        self.over.pop(number, None)
        self._bequeath(number)

    def _poll_begin(self, event: Event) -> None:
        self._is_hub(event.greenlet)
        self._goes_on(self.hub)
        self.polling, self.blocks = True, bool(event.aux)
        self.queue_known = self.queue_known or bool(event.aux)  # it blocks only if nobody is ready

    def _poll_end(self, event: Event) -> None:
        self._is_hub(event.greenlet)
        self._goes_on(self.hub)
        self.polling = False

    def _callback(self, event: Event) -> None:
        self.callback = unpack(event.arg)[1] if event.kind == Kind.CALLBACK_BEGIN else None

    def _loop_exit(self, _event: Event) -> None:
        self.loop_exit = True


_HANDLERS: dict[int, Callable[[Steps, Event], None]] = {
    Kind.GREENLET_SPAWN: Steps._spawn,
    Kind.GREENLET_NAME: Steps._name,
    Kind.GREENLET_READY: Steps._ready,
    Kind.GREENLET_SWITCH: Steps._switch,
    Kind.GREENLET_THROW: Steps._switch,
    Kind.GREENLET_PARK: Steps._park,
    Kind.GREENLET_EXIT: Steps._exit,
    Kind.WATCHER_OPEN: Steps._open,
    Kind.WATCHER_START: Steps._start,
    Kind.WATCHER_FIRE: Steps._fire,
    Kind.WATCHER_STOP: Steps._stop,
    Kind.WATCHER_CLOSE: Steps._close,
    Kind.TIMEOUT_START: Steps._timeout_start,
    Kind.TIMEOUT_FIRE: Steps._timeout_fire,
    Kind.TIMEOUT_CANCEL: Steps._timeout_cancel,
    Kind.POLL_BEGIN: Steps._poll_begin,
    Kind.POLL_END: Steps._poll_end,
    Kind.CALLBACK_BEGIN: Steps._callback,
    Kind.CALLBACK_END: Steps._callback,
    Kind.LOOP_EXIT: Steps._loop_exit,
    Kind.JOB_PUT: Steps._job_put,
    Kind.JOB_END: Steps._job_end,
    Kind.RESOURCE_ACQUIRE: Steps._acquire,
    Kind.RESOURCE_RELEASE: Steps._release,
    Kind.OP_BEGIN: Steps._op_begin,
    Kind.OP_END: Steps._op_end,
    Kind.SPAN_BEGIN: Steps._span_begin,
    Kind.SPAN_END: Steps._span_end,
    Kind.REQUEST_BEGIN: Steps._request_begin,
    Kind.REQUEST_END: Steps._request_end,
    Kind.STALL_BEGIN: Steps._stall,
    Kind.STALL_END: Steps._stall,
    Kind.DETAIL: Steps._detail,
}
