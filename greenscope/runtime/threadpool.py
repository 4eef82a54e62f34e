"""Pools of native threads for functions that block, with results that greenlets wait for.

Owns ``ThreadPool``, gevent's, and gives the names of ``futures``, the executor for
``concurrent.futures``. The threads themselves are ``threads``'s. Refuses to queue without end: ``spawn``
waits, and lets others run, until one of the ``maxsize`` threads is free.

A function that is called in a pool may use greenlets; its thread then has a hub of its own. What it
returned or raised reaches the hub of the thread that spawned it. A killed greenlet leaves its call to end
by itself, since nothing can end a thread.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from os import register_at_fork
from typing import Any
from weakref import WeakSet, ref

from greenscope.runtime.current import current
from greenscope.runtime.event import AsyncResult
from greenscope.runtime.futures import ThreadPoolExecutor, as_completed, wait
from greenscope.runtime.greenlet import Greenlet
from greenscope.runtime.hub import Hub, get_hub
from greenscope.runtime.line import Place, stay
from greenscope.runtime.mapping import Mapping
from greenscope.runtime.threads import Told, Workers, name_of_call
from greenscope.runtime.waiter import Waiter
from greenscope.trace.events import Exit, Ready, Wait

__all__ = ["ThreadPool", "ThreadPoolExecutor", "ThreadResult", "as_completed", "wait"]


class ThreadResult(AsyncResult[Any]):
    """What a function that runs in a thread will have returned."""

    __slots__ = ()

    def _await(self, what: str, timeout: float | None) -> bool:
        hub = get_hub()
        place = Place(Wait.THREAD, self._number(hub), f"{what} of a thread")
        return stay(hub, self._queue_up(), place, self.ready, timeout)


class ThreadPool(Mapping):
    """At most ``maxsize`` native threads that call functions, one at a time or all of an iterable.

    Args:
        maxsize: how many threads; they are started when they are needed.
        hub: whose pool it is; None for the current thread's.
        idle_task_timeout: seconds that a thread waits for work before it ends; negative is for ever.
    """

    def __init__(self, maxsize: int, hub: Hub | None = None, idle_task_timeout: float = -1) -> None:
        self.hub = hub if hub is not None else get_hub()
        self._workers = Workers(
            _checked(maxsize), idle_task_timeout if idle_task_timeout >= 0 else None, _Leaving(self)
        )
        self._begin()
        _all.add(self)

    def _begin(self) -> None:
        self._tasks: set[_Task] = set()
        self._spawners: deque[Waiter] = deque()  # wait for a free thread
        self._joiners: list[Waiter] = []  # wait for all to be done, or for threads to have ended

    @property
    def maxsize(self) -> int:
        """How many threads there may be; with a smaller number, threads end when they have done their work."""
        return self._workers.most

    @maxsize.setter
    def maxsize(self, maxsize: int) -> None:
        self._workers.resize(_checked(maxsize))
        for _ in range(len(self._spawners)):
            self._wake_spawner()

    @property
    def size(self) -> int:
        """How many threads there are. Setting it starts threads, or waits until surplus ones have ended."""
        return self._workers.threads + self._workers.leaving

    @size.setter
    def size(self, size: int) -> None:
        if not 0 <= size <= self.maxsize:
            raise ValueError(f"a pool of at most {self.maxsize} threads cannot have {size}")
        self._workers.start(size)
        self._workers.end(size)
        self._park_while(lambda: bool(self._workers.leaving), f"{self._workers.leaving} threads to end")

    def __len__(self) -> int:
        """How many calls are not done."""
        return len(self._tasks)

    def __bool__(self) -> bool:
        return True

    def adjust(self) -> None:
        """Bring the number of threads in line with ``maxsize``; it is kept so by itself."""
        self._workers.resize(self._workers.most)

    def spawn(self, func: Callable[..., Any], /, *args: Any, **kwargs: Any) -> ThreadResult:  # type: ignore[override]
        """Call ``func`` with these arguments in a thread; waits while all threads are busy.

        Returns:
            A result that will have what the function returned, or raised.
        """
        if not callable(func):
            raise TypeError(f"a pool calls functions; {func!r} cannot be called")
        hub = get_hub()
        told = Told(hub, self._workers, name_of_call(func))
        if len(self._tasks) >= self.maxsize:
            try:
                self._wait_for_a_thread()
            except BaseException:
                told.ends(Exit.KILLED)
                raise
        task = _Task(self, hub, told, func, args, kwargs)
        self._tasks.add(task)
        task.hub.loop.active += 1
        try:
            self._workers.put(task)
        except BaseException:
            told.ends(Exit.RAISED)
            self._over(task)
            raise
        return task.result

    def join(self) -> None:
        """Wait until every call is done."""
        self._park_while(lambda: bool(self._tasks), "the calls of a thread pool to be done")

    def kill(self) -> None:
        """Have the threads end, and wait until they have. A function that runs cannot be stopped."""
        self.size = 0

    def end(self) -> None:
        """``kill`` without waiting."""
        self._workers.end(0)

    def __del__(self) -> None:
        if "_workers" in self.__dict__:
            self.end()

    def _apply_here(self) -> bool:
        # In a thread already, perhaps one of ours: to wait there for another one could take for ever.
        return current.hub is not self.hub

    def _spawn_outside(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Greenlet:
        return Greenlet.spawn(function, *args, **kwargs)

    def __repr__(self) -> str:
        return f"<ThreadPool of {self.maxsize}, {self.size} threads, {len(self)} calls>"

    def _wait_for_a_thread(self) -> None:
        hub = get_hub()
        first = True
        while len(self._tasks) >= self.maxsize:
            waiter = Waiter(Wait.THREAD, 0, f"one of {self.maxsize} threads to be free")
            if first:
                self._spawners.append(waiter)
            else:  # somebody was quicker: the next is ours
                self._spawners.appendleft(waiter)
            first = False
            try:
                if len(self._tasks) >= self.maxsize:
                    hub.park(waiter)
            except BaseException:
                if waiter not in self._spawners:  # woken, and raised in: the thread is the next one's
                    self._wake_spawner()
                raise
            finally:
                if waiter in self._spawners:
                    self._spawners.remove(waiter)

    def _wake_spawner(self) -> None:
        try:
            self._spawners.popleft().wake(Ready.OTHER, 0)
        except IndexError:
            pass

    def _park_while(self, condition: Callable[[], bool], what: str) -> None:
        hub = get_hub()
        while condition():
            waiter = Waiter(Wait.THREAD, 0, what)
            self._joiners.append(waiter)
            hub.loop.active += 1  # threads are at work for us
            try:
                if condition():
                    hub.park(waiter)
            finally:
                hub.loop.active -= 1
                self._joiners.remove(waiter)

    def _wake_joiners(self) -> None:
        for waiter in list(self._joiners):
            waiter.wake(Ready.OTHER, 0)

    def _over(self, task: _Task) -> None:
        self._tasks.discard(task)
        task.hub.loop.active -= 1
        self._wake_spawner()
        if not self._tasks:
            self._wake_joiners()


class _Task:
    """A call on its way to a thread and back."""

    __slots__ = ("args", "error", "func", "hub", "kwargs", "pool", "result", "told", "value")

    def __init__(
        self,
        pool: ThreadPool,
        hub: Hub,
        told: Told,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        self.pool = pool
        self.hub = hub
        self.told = told
        self.func = func
        self.args = args
        self.kwargs = kwargs
        self.value: Any = None
        self.error: BaseException | None = None
        self.result = ThreadResult()

    def __call__(self) -> None:
        """Do it; in the thread."""
        self.told.begins()
        try:
            self.value = self.func(*self.args, **self.kwargs)
        except BaseException as error:
            self.error = error
        del self.func, self.args, self.kwargs
        loop = self.hub.loop
        if loop.closed:  # its thread has ended: nobody is there to be told, but the pool counts
            self._deliver()
        else:
            loop.call_threadsafe(self._arrive)

    def _arrive(self) -> None:
        self.told.ends(Exit.RETURNED if self.error is None else Exit.RAISED)
        self._deliver()

    def _deliver(self) -> None:
        self.pool._over(self)
        if self.error is not None:
            self.result.set_exception(self.error)
        else:
            self.result.set(self.value)
        del self.error, self.value, self.pool


class _Leaving:
    """Tells a pool that a thread of its has ended, and does not keep the pool alive."""

    def __init__(self, pool: ThreadPool) -> None:
        self._pool = ref(pool)

    def __call__(self) -> None:
        pool = self._pool()
        if pool is not None:
            pool._wake_joiners()


def _checked(maxsize: int) -> int:
    if not isinstance(maxsize, int):
        raise TypeError(f"the number of threads is an integer, not {maxsize!r}")
    if maxsize < 0:
        raise ValueError(f"the number of threads is 0 or more, not {maxsize}")
    return maxsize


def _after_fork_in_child() -> None:
    for pool in list(_all):
        pool._begin()


Hub.threadpool_class = ThreadPool

_all: WeakSet[ThreadPool] = WeakSet()
register_at_fork(after_in_child=_after_fork_in_child)
