"""Calls that block, out of the hub's way: a few threads for what has no descriptor to wait for.

Owns ``run_in_thread``, used for name look-ups, which only exist as a blocking call. The threads are
daemons: a look-up that hangs must not keep the program from ending, which libuv's own pool would do.
Refuses to grow beyond ``MOST`` threads; further calls wait for a free one.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar

from greenscope.runtime.hub import Hub, get_hub
from greenscope.runtime.waiter import Waiter
from greenscope.trace.events import Ready, Wait

__all__ = ["run_in_thread"]

T = TypeVar("T")

MOST = 10


class _Job:
    """One call on its way to a thread and back."""

    __slots__ = ("arguments", "error", "function", "hub", "result", "waiter")

    def __init__(self, hub: Hub, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        self.hub = hub
        self.function = function
        self.arguments = arguments
        self.result: Any = None
        self.error: BaseException | None = None
        self.waiter = Waiter(Wait.OTHER, 0, f"{function.__name__} in a thread")

    def run(self) -> None:
        """Do it; in the thread."""
        try:
            self.result = self.function(*self.arguments)
        except BaseException as error:
            self.error = error
        self.hub.loop.call_threadsafe(self.waiter.wake, Ready.OTHER, 0)


class _Pool:
    """The threads; shared by all hubs, hence the lock."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: SimpleQueue[_Job] = SimpleQueue()
        self._threads = 0
        self._idle = 0

    def put(self, job: _Job) -> None:
        with self._lock:
            if self._idle:
                self._idle -= 1
            elif self._threads < MOST:
                self._threads += 1
                threading.Thread(target=self._work, name="greenscope-blocking", daemon=True).start()
        self._jobs.put(job)

    def _work(self) -> None:
        while True:
            self._jobs.get().run()
            with self._lock:
                self._idle += 1


_pool = _Pool()


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
    hub.loop.active += 1
    _pool.put(job)
    try:
        hub.park(job.waiter)
    finally:
        hub.loop.active -= 1
    if job.error is not None:
        raise job.error
    result: T = job.result
    return result


def _after_fork_in_child() -> None:
    _pool.__init__()  # type: ignore[misc]


os.register_at_fork(after_in_child=_after_fork_in_child)
