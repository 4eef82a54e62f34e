"""Calls that block, out of the hub's way: native threads for what has no descriptor to wait for.

Owns ``Workers``, a few threads that take jobs from one queue, and ``run_in_thread``, the runtime's own
use of them (name look-ups, files). The public pool is in ``threadpool``. Refuses to know greenlets: a
job is a function of no arguments that raises nothing, and says itself to whom it reports.

The threads are real ones, whatever ``threading`` has been patched to be: everything is imported by name
from the C modules below it. They are daemons: a look-up that hangs must not keep the program from
ending, which libuv's own pool would do. A job may use greenlets: its thread then has a hub of its own,
which ends with the thread.
"""

from __future__ import annotations

from _queue import Empty, SimpleQueue
from _thread import RLock, get_ident, start_new_thread
from collections.abc import Callable
from itertools import count
from os import register_at_fork
from time import monotonic_ns
from typing import Any, TypeVar
from weakref import WeakSet

from greenscope.runtime.current import bystanders, current
from greenscope.runtime.hub import Hub, get_hub
from greenscope.runtime.waiter import Waiter
from greenscope.trace.events import Exit, Ready, Wait

__all__ = ["Told", "Workers", "look_up", "name_of_call", "run_in_thread"]

T = TypeVar("T")

MOST = 10
_ABOUT = 100  # bytes of a name that are recorded

_numbers = count()  # of pools; the first is our own


class Workers:
    """Threads that run jobs; a thread is begun when there are more jobs than threads, up to ``most``.

    Args:
        most: how many threads there may be.
        idle_seconds: how long a thread waits for a job before it ends; None is for ever.
        on_leave: called in a thread that is about to end.
    """

    # The lock can be taken twice by one thread, because a signal's handler that puts a job may
    # strike while the same thread puts one. Nothing under it switches or waits.

    def __init__(
        self, most: int, idle_seconds: float | None = None, on_leave: Callable[[], object] | None = None
    ) -> None:
        self.number = next(_numbers)
        self.most = most
        self._idle_seconds = idle_seconds
        self._on_leave = on_leave
        self._forget()
        _all.add(self)

    def _forget(self) -> None:
        """Begin anew, without threads: at first, and in the child of a fork, which has none of its parent's."""
        self._lock = RLock()
        self._jobs: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        self.threads = 0
        self.leaving = 0  # told to end, and not gone yet
        self.unfinished = 0

    def put(self, job: Callable[[], object]) -> None:
        """Have a thread run ``job``, in its turn.

        Raises:
            RuntimeError: there is no thread, and none can be started.
        """
        with self._lock:
            if self.unfinished >= self.threads and self.threads < self.most:
                try:
                    self._begin()
                except RuntimeError:  # the system's limit
                    if not self.threads:
                        raise
            self.unfinished += 1
            self._jobs.put(job)

    def start(self, count: int) -> None:
        """Begin threads until there are ``count``, without waiting for jobs."""
        with self._lock:
            while self.threads < count:
                self._begin()

    def end(self, count: int) -> None:
        """Have all but ``count`` threads end when they have run what was put before."""
        with self._lock:
            while self.threads > count:
                self.threads -= 1
                self.leaving += 1
                self._jobs.put(None)

    def resize(self, most: int) -> None:
        """Change how many threads there may be."""
        with self._lock:
            self.most = most
            self.end(most)
            self.start(min(most, self.unfinished))

    def _begin(self) -> None:
        start_new_thread(self._work, (self._jobs,))
        self.threads += 1

    def _work(self, jobs: SimpleQueue[Callable[[], object] | None]) -> None:
        # A bystander even while it runs a job: the hub that asked for it counts the job by itself.
        bystanders.add(get_ident())
        try:
            while self._work_once(jobs):
                pass
        finally:
            try:
                hub = current.hub
                if hub is not None:
                    hub.destroy()
                if self._on_leave is not None:
                    self._on_leave()
            finally:  # one too many would hide somebody who can wake
                bystanders.discard(get_ident())

    def _work_once(self, jobs: SimpleQueue[Callable[[], object] | None]) -> bool:
        """Run a job; False when it is time for the thread to end."""
        try:
            job = jobs.get(timeout=self._idle_seconds)
        except Empty:
            with self._lock:
                if jobs.qsize():
                    return True
                self.threads -= 1
                return False
        if job is None:
            with self._lock:
                self.leaving -= 1
            return False
        job()
        del job  # not kept until the next one comes
        if jobs is not self._jobs:  # it forked: this is the child, and the others are elsewhere
            return False
        with self._lock:
            self.unfinished -= 1
        return True


class Told:
    """What the recording of a hub is told of a call in a thread: that it was put, began, and is over.

    Made, and told of the end, in the hub's thread; ``begins`` and ``ends_elsewhere`` are for the thread that runs the
    call. Where nothing is recorded, it does nothing.
    """

    __slots__ = ("_at", "_loop", "_recorder", "_waited_ms", "number")

    def __init__(self, hub: Hub, workers: Workers, name: str, about: bytes = b"") -> None:
        self._loop = hub.loop
        self._recorder = hub.recorder
        self.number = self._recorder.job_put(workers.number, workers.most, name, about)
        self._at = monotonic_ns() if self.number else 0
        self._waited_ms = -1

    def begins(self) -> None:
        """A thread has taken it."""
        if self.number:
            self._waited_ms = (monotonic_ns() - self._at) // 1_000_000

    def ends(self, how: Exit) -> None:
        """It is over; or taken back, before a thread took it."""
        if self.number:
            if self._waited_ms < 0:
                self.begins()
            self._recorder.job_end(self.number, how, self._waited_ms)

    def ends_elsewhere(self, how: Exit) -> None:
        """``ends``, from another thread, for a call of which nobody else tells the hub."""
        if self.number and not self._loop.closed:
            self._loop.call_threadsafe(self.ends, how)


def name_of_call(function: Callable[..., Any]) -> str:
    """What a function is called in the recording."""
    name = getattr(function, "__name__", None) or type(function).__name__
    return name if isinstance(name, str) else ""


class _Job:
    """One call on its way to a thread and back to the greenlet that waits for it."""

    __slots__ = ("arguments", "error", "function", "hub", "result", "told", "waiter")

    def __init__(
        self, hub: Hub, function: Callable[..., Any], arguments: tuple[Any, ...], wait: Wait, about: bytes
    ) -> None:
        self.hub = hub
        self.function = function
        self.arguments = arguments
        self.result: Any = None
        self.error: BaseException | None = None
        name = name_of_call(function)
        self.told = Told(hub, _workers, name, about)
        self.waiter = Waiter(wait, self.told.number, f"{name} in a thread")

    def run(self) -> None:
        self.told.begins()
        try:
            self.result = self.function(*self.arguments)
        except BaseException as error:
            self.error = error
        self.hub.loop.call_threadsafe(self._arrive)

    def _arrive(self) -> None:
        self.told.ends(Exit.RETURNED if self.error is None else Exit.RAISED)
        self.waiter.wake(Ready.OTHER, 0)


def run_in_thread(function: Callable[..., T], *arguments: Any) -> T:
    """Call a function that blocks in a thread, and park until it has returned.

    A greenlet that is killed meanwhile leaves the call to end by itself.

    Returns:
        What the function returned.

    Raises:
        BaseException: what the function raised.
    """
    result: T = _run(_Job(get_hub(), function, arguments, Wait.THREAD, b""))
    return result


def look_up(function: Callable[..., T], what: object, *arguments: Any) -> T:
    """``run_in_thread``, for a function that looks up a name or an address."""
    text = what if isinstance(what, str) else what.decode("latin-1") if isinstance(what, bytes) else str(what or "")
    about = text.encode(errors="replace")[:_ABOUT]
    result: T = _run(_Job(get_hub(), function, (what, *arguments), Wait.LOOKUP, about))
    return result


def _run(job: _Job) -> Any:
    hub = job.hub
    try:
        _workers.put(job.run)
    except RuntimeError:
        job.told.ends(Exit.RAISED)
        raise
    hub.loop.active += 1
    try:
        hub.park(job.waiter)
    finally:
        hub.loop.active -= 1
    if job.error is not None:
        try:
            raise job.error
        finally:
            del job  # its error's traceback leads here: freed now, not by the collector
    return job.result


def _after_fork_in_child() -> None:
    for workers in list(_all):
        workers._forget()


_all: WeakSet[Workers] = WeakSet()
_workers = Workers(MOST)
register_at_fork(after_in_child=_after_fork_in_child)
