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
from os import register_at_fork
from typing import Any, TypeVar
from weakref import WeakSet

from greenscope.runtime.current import bystanders, current
from greenscope.runtime.hub import Hub, get_hub
from greenscope.runtime.waiter import Waiter
from greenscope.trace.events import Ready, Wait

__all__ = ["Workers", "run_in_thread"]

T = TypeVar("T")

MOST = 10


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


class _Job:
    """One call on its way to a thread and back to the greenlet that waits for it."""

    __slots__ = ("arguments", "error", "function", "hub", "result", "waiter")

    def __init__(self, hub: Hub, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        self.hub = hub
        self.function = function
        self.arguments = arguments
        self.result: Any = None
        self.error: BaseException | None = None
        name = getattr(function, "__name__", type(function).__name__)
        self.waiter = Waiter(Wait.THREAD, 0, f"{name} in a thread")

    def run(self) -> None:
        try:
            self.result = self.function(*self.arguments)
        except BaseException as error:
            self.error = error
        self.hub.loop.call_threadsafe(self.waiter.wake, Ready.OTHER, 0)


def run_in_thread(function: Callable[..., T], *arguments: Any) -> T:
    """Call a function that blocks in a thread, and park until it has returned.

    A greenlet that is killed meanwhile leaves the call to end by itself.

    Returns:
        What the function returned.

    Raises:
        BaseException: what the function raised.
    """
    hub = get_hub()
    job = _Job(hub, function, arguments)
    _workers.put(job.run)
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
    result: T = job.result
    return result


def _after_fork_in_child() -> None:
    for workers in list(_all):
        workers._forget()


_all: WeakSet[Workers] = WeakSet()
_workers = Workers(MOST)
register_at_fork(after_in_child=_after_fork_in_child)
