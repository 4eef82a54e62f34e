"""The ring's writer in Python: the twin of ``_ring.c``, and the easier one to read.

It serves interpreters for which the extension could not be built, and the tests hold the two to
the same bytes. One writer a file; nothing here waits, and nothing raises into the program.

A greenlet is named by its *handle*: its number in the low 40 bits, its slot + 1 above. The writer
knows which greenlet runs: ``switch`` and ``throw`` say who goes on, ``park`` and ``exit`` give the
hub back.
"""

from __future__ import annotations

import struct
import time

from greenscope.trace.events import FOR_ONE, NOT_STARTED, ORIGIN_SHIFT, Detail, Kind, Ready, Spawn, Wait
from greenscope.trace.ring_figures import Figures
from greenscope.trace.ring_layout import (
    CAPACITY_UNIT,
    EVENT,
    FLAG_NUMBERED,
    HANDLE_BITS,
    MAX_BURST,
    PEER_BYTES,
    SLOT_FIELDS,
    SLOT_SIZE,
    STATES,
    TEXT_BYTES,
    read_field,
    write_field,
)
from greenscope.trace.ring_notes import Notes
from greenscope.trace.ring_sites import Sites
from greenscope.trace.ring_space import FileSpace, Section, sections_of

__all__ = ["Ring"]

_ID_MASK = (1 << HANDLE_BITS) - 1
_U32 = 0xFFFFFFFF
_U8 = 0xFF
_BY_GREENLET = frozenset((Ready.GREENLET, Ready.SPAWN, Ready.KILL, Ready.CLOSE, Ready.YIELD))
_SPAWNED, _READY, _RUNNING, _WAITING = (STATES[s] for s in ("spawned", "ready", "running", "waiting"))

# A slot, but for its sequence number, in the order of SLOT.
_SLOT_BODY = struct.Struct("<IQQIIQQQIBBBBQIBB2x48s")


class _Slot:
    """What a slot of the greenlet table holds, before it is packed."""

    __slots__ = (
        "deadline_ns",
        "fd_plus_1",
        "flags",
        "greenlet",
        "name",
        "origin",
        "parent",
        "peer",
        "reason",
        "resource",
        "run_ns",
        "sequence",
        "since_ns",
        "site",
        "spawn_reason",
        "spawn_site",
        "state",
        "switches",
    )

    def __init__(self, sequence: int) -> None:
        self.sequence = sequence
        self.name = self.greenlet = self.since_ns = self.resource = self.fd_plus_1 = 0
        self.deadline_ns = self.run_ns = self.switches = self.site = 0
        self.state = self.reason = self.flags = self.parent = self.spawn_site = self.spawn_reason = self.origin = 0
        self.peer = b""


class Ring(Notes, Figures, Sites):
    """Writes one hub's events into a buffer that holds a fresh ring file.

    Args:
        buffer: the file, with its header written (``ring_file.create``).
        internal: code whose file starts with one of these is never a call site.
        plumbing: code whose file starts with one of these is a call site only if there is no better one.
        fd: of the file, to reserve space with; -1 where all space is there already, as in memory.

    Raises:
        ValueError: the buffer holds no fresh ring.
        OSError: ``fd`` is no descriptor.
    """

    def __init__(self, buffer: memoryview, internal: tuple[str, ...], plumbing: tuple[str, ...], fd: int = -1) -> None:
        if read_field(buffer, "event_capacity") % CAPACITY_UNIT:
            raise ValueError("the buffer's capacity is odd")
        self._buffer = buffer
        self._head = 0
        self._space = FileSpace(fd)
        sections = sections_of(buffer)
        self._events_at, self._strings_at = sections["events"], sections["strings"]
        self._sites_at, self._slots_at = sections["sites"], sections["slots"]
        self._next = self._events_at.offset
        self._limit = self._next + self._events_at.reserved
        self._lost = {"strings_lost": 0, "sites_lost": 0, "slots_lost": 0}
        self._slots: list[_Slot] = []
        self._free: list[int] = []
        self._next_greenlet = 1
        self._next_resource = 1
        self._hub = 0
        self._detached = False
        self.current = 0
        self.clock_ns = 0  # a test's clock; 0: the real one
        self._fired_head, self._fired_ns = -1, 0  # the head after the last fire, and when that was
        Sites.__init__(self, buffer, internal, plumbing)

    # -- what there is to name ------------------------------------------------------------------

    def resource(self) -> int:
        """The next serial number, for whatever can be waited for."""
        number = self._next_resource
        self._next_resource = (number + 1) & _U32 or 1
        return number

    @property
    def head(self) -> int:
        """How many records were written."""
        return self._head

    # -- greenlets ------------------------------------------------------------------------------

    def spawn(self, reason: int, name: int, numbered: int, parent: int) -> int:
        """A greenlet begins: its handle."""
        if self._detached:
            return 0
        greenlet = self._next_greenlet
        self._next_greenlet += 1
        parent &= _ID_MASK
        now, site = self._now(), self._site()
        index = self._take_slot()
        if index is not None:
            slot = self._slots[index]
            slot.greenlet, slot.name, slot.parent = greenlet, name, parent
            slot.since_ns, slot.site, slot.spawn_site = now, site, site
            slot.state, slot.spawn_reason = _SPAWNED, reason
            slot.flags = FLAG_NUMBERED if numbered else 0
            self._write_slot(index, slot)
        self._put(now, greenlet, Kind.GREENLET_SPAWN, reason, numbered, site, parent)
        self._put(now, greenlet, Kind.GREENLET_NAME, 0, numbered, 0, name)
        self._publish()
        handle = greenlet if index is None else greenlet | (index + 1) << HANDLE_BITS
        if reason == Spawn.HUB:
            self._hub = self.current = handle
        return handle

    def rename(self, handle: int, name: int, numbered: int) -> None:
        """It is called this from here on."""
        slot = self._slot(handle)
        if slot is not None:
            slot.name = name
            slot.flags = FLAG_NUMBERED if numbered else 0
            self._write_slot((handle >> HANDLE_BITS) - 1, slot)
        self._event(handle, Kind.GREENLET_NAME, 0, numbered, 0, name)

    def awaits(self, handle: int, resource: int, whom: int) -> None:
        """Whom it waits for has changed: who holds a lock, or who is to end; if it still waits for that."""
        slot = self._slot(handle)
        if slot is not None and slot.state == _WAITING and slot.resource == resource & _U32 and slot.reason in FOR_ONE:
            whom &= _ID_MASK
            slot.fd_plus_1 = whom if whom <= NOT_STARTED else 0
            self._write_slot((handle >> HANDLE_BITS) - 1, slot)

    def ready(self, handle: int, reason: int, by: int) -> None:
        """It can run: why, and by which watcher, greenlet or timeout."""
        if not self._detached:
            self._ready(self._now(), handle, reason, by)

    def _ready(self, now: int, handle: int, reason: int, by: int) -> None:
        slot = self._slot(handle)
        if slot is not None:
            slot.state, slot.reason, slot.since_ns = _READY, reason, now
            self._write_slot((handle >> HANDLE_BITS) - 1, slot)
        by = by & _ID_MASK if reason in _BY_GREENLET else by
        site = self._site_if_taught() or self._waits_at_if_taught(slot)
        self._event(handle, Kind.GREENLET_READY, reason, 0, site, by, now)

    def switch(self, handle: int) -> None:
        """The hub is about to switch to it."""
        self._run(handle, Kind.GREENLET_SWITCH)

    def throw(self, handle: int) -> None:
        """The hub is about to raise in it."""
        self._run(handle, Kind.GREENLET_THROW)

    def park(self, reason: int, resource: int, fd: int, deadline_ms: int, peer: bytes) -> None:
        """The running greenlet is about to switch to the hub."""
        if not self._detached:
            now, site = self._moment()
            self._park(now, site, reason, resource, fd, deadline_ms, peer)

    def park_there(self, site: int, reason: int, resource: int, fd: int, deadline_ms: int) -> None:
        """The running greenlet is about to wait, at a line that does not run: a suspended frame's."""
        if not self._detached:
            self._park(self._now(), site, reason, resource, fd, deadline_ms, b"")

    def _park(self, now: int, site: int, reason: int, resource: int, fd: int, deadline_ms: int, peer: bytes) -> None:
        handle = self.current
        slot = self._slot(handle)
        deadline_ms = min(deadline_ms, _U32)
        origin, reason = reason >> ORIGIN_SHIFT & _U8, reason & _U8
        if slot is not None:
            if slot.state == _RUNNING:
                slot.run_ns += now - slot.since_ns
            slot.state, slot.reason, slot.since_ns, slot.site = _WAITING, reason, now, site
            peer = peer[:PEER_BYTES]
            if slot.resource != resource & _U32 or len(slot.peer) != len(peer):  # a resource's peer is always the same
                slot.peer, slot.origin = peer, origin
            slot.resource, slot.fd_plus_1 = resource & _U32, (fd + 1) & _U32
            slot.deadline_ns = now + deadline_ms * 1_000_000 if deadline_ms else 0
            self._write_slot((handle >> HANDLE_BITS) - 1, slot)
        arg = (resource & _U32) | deadline_ms << 32
        self._event(handle, Kind.GREENLET_PARK, reason, min(fd + 1, 0xFFFF), site, arg, now)
        self.current = self._hub

    def give_way(self, handle: int, deadline_ms: int) -> None:
        """The running greenlet yields: it parks, and is ready at once."""
        self.park(Wait.YIELD, 0, -1, deadline_ms, b"")
        self.ready(handle, Ready.YIELD, handle)

    def wait(self, watch: int, resource: int, fd: int, deadline_ms: int, peer: bytes) -> None:
        """``watcher_start`` and ``park`` in one: ``watch`` is READ or WRITE, as ``Wait``, and an ``Origin``."""
        if not self._detached:
            now, site = self._moment()
            self._watcher(Kind.WATCHER_START, watch, resource, fd, now)
            self._park(now, site, watch, resource, fd, deadline_ms, peer)

    def exit(self, handle: int, how: int) -> None:
        """It ended."""
        slot = self._slot(handle)
        if slot is not None:
            index = (handle >> HANDLE_BITS) - 1
            empty = self._slots[index] = _Slot(slot.sequence)
            self._write_slot(index, empty)
            self._free.append(index)
        self._event(handle, Kind.GREENLET_EXIT, how, 0, 0, 0)
        if self.current == handle:
            self.current = self._hub

    # -- watchers, timeouts, the loop -----------------------------------------------------------

    def watcher_open(self, watch: int, fd: int, peer: bytes) -> int:
        """A watcher is made: its resource number. ``watch`` may have an ``Origin`` in the bits of ORIGIN_SHIFT."""
        if self._detached:
            return 0
        resource = self.resource()
        arg = resource | (fd & _U32) << 32
        origin, site = watch >> ORIGIN_SHIFT & _U8, self._site()
        self._put(self._now(), self.current & _ID_MASK, Kind.WATCHER_OPEN, watch & _U8, origin, site, arg)
        self._put_text(peer)
        self._publish()
        return resource

    def watcher_start(self, watch: int, resource: int, high: int) -> None:
        """The running greenlet begins to wait on it; ``high`` is a descriptor, or a timer's milliseconds."""
        self._watcher(Kind.WATCHER_START, watch, resource, high)

    def fire(self, handle: int, watch: int, resource: int, high: int) -> None:
        """The loop saw what it watches for, and so the greenlet that waits on it is ready.

        Of what fires one after the other the kernel told in one answer, at one time: the clock is read once.
        """
        if self._detached:
            return
        now = self._fired_ns if self._head == self._fired_head else self._now()
        site = self._waits_at_if_taught(self._slot(handle))
        self._event(handle, Kind.WATCHER_FIRE, watch & _U8, 0, site, (resource & _U32) | (high & _U32) << 32, now)
        self._ready(now, handle, Ready.WATCHER, resource)
        self._fired_head, self._fired_ns = self._head, now

    def watcher_fire(self, watch: int, resource: int, high: int) -> None:
        """It fired, and the hub will call a function for it."""
        self._watcher(Kind.WATCHER_FIRE, watch, resource, high)

    def watcher_stop(self, watch: int, resource: int, high: int) -> None:
        """The running greenlet waits on it no more."""
        self._watcher(Kind.WATCHER_STOP, watch, resource, high)

    def watcher_close(self, watch: int, resource: int, high: int) -> None:
        """The watcher is gone."""
        self._watcher(Kind.WATCHER_CLOSE, watch, resource, high)

    def timeout_start(self, reason: int, milliseconds: int) -> int:
        """A timeout begins for the running greenlet: its number."""
        if self._detached:
            return 0
        number = self.resource()
        arg = number | min(milliseconds, _U32) << 32
        self._event(self.current, Kind.TIMEOUT_START, reason, 0, self._site(), arg)
        return number

    def timeout_fire(self, handle: int, reason: int, timeout: int) -> None:
        """Its time is over."""
        self._event(handle, Kind.TIMEOUT_FIRE, reason, 0, 0, timeout)

    def timeout_cancel(self, reason: int, timeout: int) -> None:
        """It was stopped in time."""
        self._event(self.current, Kind.TIMEOUT_CANCEL, reason, 0, self._site_if_taught(), timeout)

    def poll_begin(self, blocks: int) -> None:
        """The hub asks the kernel."""
        self._event(self._hub, Kind.POLL_BEGIN, 0, blocks, 0, 0)

    def poll_end(self, fired: int) -> None:
        """The kernel answered."""
        self._event(self._hub, Kind.POLL_END, 0, min(fired, 0xFFFF), 0, 0)
        if self.detail_wanted >= 0:
            self._hear_detail()

    def loop_exit(self, handle: int, waiting: int) -> None:
        """Nothing is left that could wake anyone, above all this one; so many wait."""
        if self._detached:
            return
        now, slot = self._now(), self._slot(handle)
        reason, site, resource, waited_ms = 0, 0, 0, 0
        if slot is not None:
            reason, site, resource = slot.reason, slot.site, slot.resource
            waited_ms = min(max(now - slot.since_ns, 0) // 1_000_000, _U32)
        arg = resource | waited_ms << 32
        self._event(handle, Kind.LOOP_EXIT, reason, min(waiting, 0xFFFF), site, arg, now)

    def detach(self) -> None:
        """Write nothing more: the file is another process's (after a fork) or closed."""
        self._detached = True
        self._buffer = memoryview(b"")
        self.current = self._hub = 0

    # -- inside ---------------------------------------------------------------------------------

    def _now(self) -> int:
        return self.clock_ns or time.clock_gettime_ns(time.CLOCK_MONOTONIC)

    def _event(
        self, handle: int, kind: int, reason: int, aux: int, site: int, arg: int, now: int | None = None
    ) -> None:
        if not self._detached:
            self._put(self._now() if now is None else now, handle & _ID_MASK, kind, reason, aux, site, arg)
            self._publish()

    def _put(self, now: int, greenlet: int, kind: int, reason: int, aux: int, site: int, arg: int) -> None:
        EVENT.pack_into(self._buffer, self._advance(), now, greenlet, kind, reason, aux, site, arg)

    def _put_text(self, text: bytes) -> None:
        """The text of the record before; what does not fit into a burst is cut."""
        pieces = [text[at : at + TEXT_BYTES] for at in range(0, len(text), TEXT_BYTES)][: MAX_BURST - 1]
        for following, piece in zip(reversed(range(len(pieces))), pieces, strict=True):
            padded = piece.ljust(TEXT_BYTES, b"\0")
            struct.pack_into(
                "<16sBBH12s", self._buffer, self._advance(), padded[:16], Kind.TEXT, len(piece), following, padded[16:]
            )

    def _advance(self) -> int:
        """Where the next record goes."""
        if self._next == self._limit:
            self._turn()
        at = self._next
        self._next += EVENT.size
        self._head += 1
        return at

    def _turn(self) -> None:
        """Go on in the next segment of the events, or at their beginning again."""
        events, size = self._events_at, self._events_at.size
        if self._has_room(events, events.reserved + EVENT.size):
            self._limit = events.offset + events.reserved
            return
        if events.size != size:
            write_field(self._buffer, "event_capacity", events.size // EVENT.size)
        self._next = events.offset

    def _has_room(self, section: Section, end: int) -> bool:
        if end <= section.reserved:
            return True
        size = section.size
        room = self._space.extend(section, end)
        if section.size != size:
            write_field(self._buffer, "space_lost", 1)
        return room

    def _publish(self) -> None:
        write_field(self._buffer, "head", self._head)

    def _moment(self) -> tuple[int, int]:
        """When and where what runs is about to wait."""
        return self._now(), self._stack() if self.stacks else self._site()

    def _watcher(self, kind: int, watch: int, resource: int, high: int, now: int | None = None) -> None:
        arg = (resource & _U32) | (high & _U32) << 32
        self._event(self.current, kind, watch & _U8, 0, self._site_if_taught(), arg, now)

    def _waits_at_if_taught(self, slot: _Slot | None) -> int:
        """Where a greenlet waits, or waited last, for a record that has a site at level teach only."""
        return slot.site if slot is not None and self.detail >= Detail.TEACH else 0

    def _run(self, handle: int, kind: int) -> None:
        if self._detached:
            return
        now = self._now()
        slot = self._slot(handle)
        if slot is not None:
            slot.state, slot.since_ns = _RUNNING, now
            slot.switches += 1
            self._write_slot((handle >> HANDLE_BITS) - 1, slot)
        self.current = handle
        self._event(handle, kind, 0, 0, self._waits_at_if_taught(slot), 0, now)

    def _count_lost(self, counter: str) -> None:
        if not self._detached:
            self._lost[counter] += 1
            write_field(self._buffer, counter, min(self._lost[counter], _U32))

    def _take_slot(self) -> int | None:
        if self._free:
            return self._free.pop()
        index = len(self._slots)
        if not self._has_room(self._slots_at, (index + 1) * SLOT_SIZE):
            self._count_lost("slots_lost")
            return None
        self._slots.append(_Slot(0))
        write_field(self._buffer, "slot_used", index + 1)
        return index

    def _slot(self, handle: int) -> _Slot | None:
        index = handle >> HANDLE_BITS
        if index == 0 or self._detached or index > len(self._slots):
            return None
        slot = self._slots[index - 1]
        return slot if slot.greenlet == handle & _ID_MASK else None

    def _write_slot(self, index: int, slot: _Slot) -> None:
        at = self._slots_at.offset + index * SLOT_SIZE
        self._buffer[at : at + 4] = struct.pack("<I", slot.sequence + 1 & _U32)
        _SLOT_BODY.pack_into(
            self._buffer,
            at + SLOT_FIELDS["name"],
            slot.name,
            slot.greenlet,
            slot.since_ns,
            slot.resource,
            slot.fd_plus_1,
            slot.deadline_ns,
            slot.run_ns,
            slot.switches,
            slot.site,
            slot.state,
            slot.reason,
            slot.flags,
            len(slot.peer),
            slot.parent,
            slot.spawn_site,
            slot.spawn_reason,
            slot.origin,
            slot.peer,
        )
        slot.sequence = slot.sequence + 2 & _U32
        self._buffer[at : at + 4] = struct.pack("<I", slot.sequence)
