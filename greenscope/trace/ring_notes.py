"""The records that a hub does not need, in Python: the twin of ``_notes.c``.

What the program says itself (spans, marks, requests), and what a detail level adds (calls of sockets,
resources and who holds them, callbacks, the level). All are of the greenlet that runs. A base of
``ring_python.Ring``, without state but for the level.
"""

from __future__ import annotations

from types import CodeType
from typing import TYPE_CHECKING

from greenscope.trace.events import Detail, Exit, Kind, pack
from greenscope.trace.levels import hear
from greenscope.trace.ring_layout import HANDLE_BITS, write_field

__all__ = ["Notes"]

_ID_MASK = (1 << HANDLE_BITS) - 1


class Notes:
    """What can be noted beside what the hub does."""

    detail: int = 0
    """The level: ``Detail``."""

    detail_wanted: int = -1
    """The level that another process asks for, which the hub's thread hears at the end of a poll; -1: none."""

    stacks: bool = False
    """Whether the whole stack is recorded where a greenlet parks."""

    if TYPE_CHECKING:
        current: int
        _hub: int
        _buffer: memoryview
        _detached: bool

        def resource(self) -> int: ...
        def string(self, text: str) -> int: ...
        def _site(self) -> int: ...
        def _now(self) -> int: ...
        def _publish(self) -> None: ...
        def _put(self, now: int, greenlet: int, kind: int, reason: int, aux: int, site: int, arg: int) -> None: ...
        def _put_text(self, text: bytes) -> None: ...
        def _event(self, handle: int, kind: int, reason: int, aux: int, site: int, arg: int) -> None: ...

    # -- what the program says ------------------------------------------------------------------

    def span_begin(self, name: str) -> int:
        """Something begins that the program has a name for: its number."""
        if self._detached:
            return 0
        identity, span, site = self.string(name), self.resource(), self._site()
        self._event(self.current, Kind.SPAN_BEGIN, 0, 0, site, pack(span, identity))
        return span

    def span_end(self, span: int, how: int, error: str) -> None:
        """It is over: how (``Exit``), and by which class of exception, if by one."""
        if not self._detached:
            self._event(self.current, Kind.SPAN_END, how, 0, 0, pack(span, self.string(error)))

    def mark(self, text: bytes) -> None:
        """The program leaves a mark."""
        if not self._detached:
            self._event_with_text(Kind.MARK, 0, 0, self._site(), 0, text)

    def request_begin(self, text: bytes) -> int:
        """The program begins to serve a request, whose id and subject are the text's lines: its number."""
        if self._detached:
            return 0
        request = self.resource()
        self._event_with_text(Kind.REQUEST_BEGIN, 0, 0, self._site(), request, text)
        return request

    def request_end(self, request: int, status: int, how: int = Exit.RETURNED, error: str = "") -> None:
        """It was served: with which status (0: none), how (``Exit``), by which exception, if by one."""
        if not self._detached:
            arg = pack(request, self.string(error))
            self._event(self.current, Kind.REQUEST_END, how, status & 0xFFFF, 0, arg)

    # -- what threads do ------------------------------------------------------------------------

    def job_put(self, pool: int, threads: int, name: str, about: bytes) -> int:
        """A function was given to a pool that may have so many threads; about what, of a look-up: its number."""
        if self._detached:
            return 0
        identity, job, site = self.string(name), self.resource(), self._site()
        arg = pack(job, identity)
        self._event_with_text(Kind.JOB_PUT, min(pool, 0xFF), min(threads, 0xFFFF), site, arg, about)
        return job

    def job_end(self, job: int, how: int, waited_ms: int) -> None:
        """It is over: how (``Exit``), after so many milliseconds in which it waited for a thread."""
        if not self._detached:
            self._event(self.current, Kind.JOB_END, how, 0, 0, pack(job, min(waited_ms, 0xFFFFFFFF)))

    # -- what a level adds ----------------------------------------------------------------------

    def watcher_refuse(self, watch: int, resource: int, fd: int, other: int, peer: bytes) -> None:
        """What runs may not wait where another greenlet, a handle, waits already."""
        if not self._detached:
            aux = min((fd + 1) & 0xFFFFFFFF, 0xFFFF)
            arg = pack(resource, other & _ID_MASK)
            self._event_with_text(Kind.WATCHER_REFUSE, watch & 0xFF, aux, self._site(), arg, peer)

    def op_begin(self, op: int, tls: int, resource: int, fd: int) -> None:
        """A socket is called: what for (``Op``), and the watcher that it would wait on (0: none yet)."""
        if not self._detached:
            self._event(self.current, Kind.OP_BEGIN, op, int(tls != 0), self._site_if_taught(), pack(resource, fd))

    def op_end(self, op: int, errno: int, count: int, error: bytes) -> None:
        """The call is over: bytes (or the new descriptor), or errno and the exception's class."""
        if not self._detached:
            self._event_with_text(Kind.OP_END, op, errno & 0xFFFF, 0, count, error)

    def acquire(self, handle: int, what: int, earlier: int, resource: int, left: int) -> None:
        """A greenlet (0: what runs) holds a resource (``what``: ``Resource``); ``earlier``: it does so already."""
        if not self._detached:
            site = 0 if earlier else self._site_if_taught()
            arg = pack(resource, left)
            self._event(handle or self.current, Kind.RESOURCE_ACQUIRE, what, int(earlier != 0), site, arg)

    def release(self, what: int, resource: int, left: int) -> None:
        """What runs holds a resource no more."""
        if not self._detached:
            site = self._site_if_taught()
            self._event(self.current, Kind.RESOURCE_RELEASE, what, 0, site, pack(resource, left))

    def callback_begin(self, watch: int, resource: int, name: str) -> None:
        """The hub calls a function, for a watcher (0: for none)."""
        if not self._detached:
            self._event(self._hub, Kind.CALLBACK_BEGIN, watch, 0, 0, pack(resource, self.string(name)))

    def callback_end(self, how: int) -> None:
        """The function is over."""
        self._event(self._hub, Kind.CALLBACK_END, how, 0, 0, 0)

    def set_detail(self, level: int) -> None:
        """From here on so much is recorded."""
        if not self._detached and level != self.detail:
            self._event(self.current, Kind.DETAIL, level, self.detail, 0, 0)
            self.detail = level
            write_field(self._buffer, "detail", level)

    def on_stall_over(self) -> None:
        """The watchdog has seen a stall end; of a ring in Python there is none."""

    def idles_in(self, code: CodeType) -> None:
        """Where a hub that is no greenlet of ours polls, for the watchdog; of a ring in Python there is none."""

    def _hear_detail(self) -> None:
        wanted, self.detail_wanted = self.detail_wanted, -1
        hear(wanted)

    # -- inside ---------------------------------------------------------------------------------

    def _site_if_taught(self) -> int:
        return self._site() if self.detail >= Detail.TEACH else 0

    def _event_with_text(self, kind: int, reason: int, aux: int, site: int, arg: int, text: bytes) -> None:
        self._put(self._now(), self.current & _ID_MASK, kind, reason, aux, site, arg & 0xFFFFFFFFFFFFFFFF)
        self._put_text(text)
        self._publish()
