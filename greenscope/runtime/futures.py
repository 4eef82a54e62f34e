"""An executor for ``concurrent.futures`` whose futures let other greenlets run while one waits.

Owns ``ThreadPoolExecutor`` and its ``Future``, and ``wait`` and ``as_completed``, which take futures of
any kind. The functions run in native threads (``threads``), so one that blocks, or computes in C, holds up
nobody.

A future is set in the thread that ran its function, not through a hub: so whoever waits may be a greenlet
of any thread, or a plain thread in the standard library's own ``wait``.
"""

from __future__ import annotations

import concurrent.futures
from _thread import RLock
from _thread import _local as local
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ALL_COMPLETED, FIRST_COMPLETED, FIRST_EXCEPTION
from concurrent.futures._base import DoneAndNotDoneFutures
from concurrent.futures.thread import BrokenThreadPool
from threading import Condition
from time import monotonic
from typing import Any, Self

from greenscope.runtime.current import current
from greenscope.runtime.hub import get_hub
from greenscope.runtime.line import park_for
from greenscope.runtime.threads import Told, Workers, name_of_call
from greenscope.runtime.waiter import Waiter
from greenscope.trace.events import Exit, Ready, Wait

__all__ = ["Future", "ThreadPoolExecutor", "as_completed", "wait"]

AnyFuture = concurrent.futures.Future[Any]


class Future(concurrent.futures.Future[Any]):
    """A standard library's future; ``result`` and ``exception`` let other greenlets run while they wait."""

    def __init__(self) -> None:
        super().__init__()
        # Native whatever has been patched: it is held for moments, and a thread without greenlets uses it.
        self._condition = Condition(RLock())

    def result(self, timeout: float | None = None) -> Any:
        """What the function returned, once it has.

        Raises:
            TimeoutError: it has not within ``timeout`` seconds.
            CancelledError: it was cancelled.
            BaseException: what it raised.
        """
        self._await(timeout)
        return super().result(0)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """What the function raised, or None if it returned; raises as ``result`` does."""
        self._await(timeout)
        return super().exception(0)

    def _await(self, timeout: float | None) -> None:
        if not self.done():
            with _Arrivals([self]) as arrivals:
                arrivals.next(_deadline(timeout))


class ThreadPoolExecutor(concurrent.futures.ThreadPoolExecutor):
    """The standard library's executor, in native threads, with futures that greenlets can wait for.

    Its threads are daemons without names of their own: what has not run when the program ends does not run.

    Args:
        max_workers, thread_name_prefix, initializer, initargs: as for the standard library's.
    """

    def __init__(
        self,
        max_workers: int | None = None,
        thread_name_prefix: str = "",
        initializer: Callable[..., object] | None = None,
        initargs: tuple[Any, ...] = (),
    ) -> None:
        super().__init__(max_workers, thread_name_prefix, initializer, initargs)
        self._initialize = initializer
        self._initialize_with = initargs
        self._workers = Workers(self._max_workers)
        self._pending: set[Future] = set()
        self._thread = local()
        self._over = False
        self._failed = False

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future:
        """Call ``fn`` with these arguments in a thread; never waits.

        Raises:
            RuntimeError: the executor was shut down, or its initializer failed.
        """
        if self._failed:
            raise BrokenThreadPool(_BROKEN)
        if self._over:
            raise RuntimeError("cannot schedule new futures after shutdown of the executor")
        future = Future()
        hub = current.hub
        told = Told(hub, self._workers, name_of_call(fn)) if hub is not None else None
        self._pending.add(future)
        try:
            self._workers.put(lambda: self._run(future, told, fn, args, kwargs))
        except BaseException:
            self._pending.discard(future)
            if told is not None:
                told.ends(Exit.RAISED)
            raise
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more calls.

        Args:
            wait: whether to wait until what was submitted is done.
            cancel_futures: whether to cancel what has not begun.
        """
        self._over = True
        if cancel_futures:
            for future in list(self._pending):
                future.cancel()
        self._workers.end(0)
        if wait:
            _wait(self._pending.copy())

    def __del__(self) -> None:
        workers = getattr(self, "_workers", None)
        if workers is not None:
            workers.end(0)

    def _run(
        self,
        future: Future,
        told: Told | None,
        fn: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        how = Exit.RETURNED
        if told is not None:
            told.begins()
        try:
            if self._ready() and future.set_running_or_notify_cancel():
                try:
                    value = fn(*args, **kwargs)
                except BaseException as error:
                    how = Exit.RAISED
                    future.set_exception(error)
                else:
                    future.set_result(value)
        finally:
            if told is not None:
                told.ends_elsewhere(how)
            self._pending.discard(future)
            del future  # its error's traceback leads here

    def _ready(self) -> bool:
        """Whether this thread was initialized; if that fails, everything that was submitted does."""
        if self._failed:
            return False
        if self._initialize is None or hasattr(self._thread, "ready"):
            return True
        try:
            self._initialize(*self._initialize_with)
        except BaseException as error:
            self._failed = True
            for future in list(self._pending):
                if future.set_running_or_notify_cancel():
                    broken = BrokenThreadPool(_BROKEN)
                    broken.__cause__ = error
                    future.set_exception(broken)
            return False
        self._thread.ready = True
        return True


class _Arrivals:
    """Futures in the order in which they end, for one greenlet that waits for them."""

    def __init__(self, futures: Iterable[AnyFuture]) -> None:
        self._futures = list(futures)
        self._hub = get_hub()
        self._done: deque[AnyFuture] = deque()
        self._waiter: Waiter | None = None

    def __enter__(self) -> Self:
        for future in self._futures:
            future.add_done_callback(self._arrive)
        return self

    def __exit__(self, *_error: object) -> None:
        for future in self._futures:
            callbacks: list[Any] = future._done_callbacks  # type: ignore[attr-defined]
            with future._condition:
                if self._arrive in callbacks:
                    callbacks.remove(self._arrive)

    def next(self, deadline: float | None) -> AnyFuture | None:
        """The next one that has ended; None if none has by then."""
        hub = self._hub
        while not self._done:
            self._waiter = Waiter(Wait.THREAD, 0, f"one of {len(self._futures)} futures")
            hub.loop.active += 1
            try:
                left = None if deadline is None else max(0.0, deadline - monotonic())
                if not park_for(hub, self._waiter, left) and not self._done:
                    return None
            finally:
                hub.loop.active -= 1
        return self._done.popleft()

    def _arrive(self, future: AnyFuture) -> None:
        # In whichever thread; the wake-up then runs in the hub, so not before the greenlet has parked.
        self._done.append(future)
        self._hub.loop.call_threadsafe(self._wake)

    def _wake(self) -> None:
        if self._waiter is not None:
            self._waiter.wake(Ready.OTHER, 0)


def wait(
    fs: Iterable[AnyFuture], timeout: float | None = None, return_when: str = ALL_COMPLETED
) -> DoneAndNotDoneFutures[Any]:
    """Wait for futures, of any executor, while other greenlets run.

    Args:
        fs: which.
        timeout: seconds to wait at most.
        return_when: FIRST_COMPLETED, FIRST_EXCEPTION or ALL_COMPLETED.

    Returns:
        A pair of sets: those that are done, and the others.
    """
    if return_when not in (FIRST_COMPLETED, FIRST_EXCEPTION, ALL_COMPLETED):
        raise ValueError(f"return_when is FIRST_COMPLETED, FIRST_EXCEPTION or ALL_COMPLETED, not {return_when!r}")
    futures = set(fs)
    deadline = _deadline(timeout)
    done = {future for future in futures if future.done()}
    enough = len(futures) if return_when != FIRST_COMPLETED else 1
    if return_when == FIRST_EXCEPTION and any(map(_failed, done)):
        enough = 0
    with _Arrivals(futures - done) as arrivals:
        while len(done) < enough and len(done) < len(futures):
            future = arrivals.next(deadline)
            if future is None:
                break
            done.add(future)
            if return_when == FIRST_EXCEPTION and _failed(future):
                break
    done |= {future for future in futures if future.done()}
    return DoneAndNotDoneFutures(done, futures - done)


_wait = wait  # for `shutdown`, which has an argument of the name


def as_completed(fs: Iterable[AnyFuture], timeout: float | None = None) -> Iterator[AnyFuture]:
    """Yield futures, of any executor, as they end, while other greenlets run.

    Raises:
        TimeoutError: some have not ended within ``timeout`` seconds of the call.
    """
    deadline = _deadline(timeout)
    return _as_completed(set(fs), deadline)


def _as_completed(futures: set[AnyFuture], deadline: float | None) -> Iterator[AnyFuture]:
    left = len(futures)
    with _Arrivals(futures) as arrivals:
        while left:
            future = arrivals.next(deadline)
            if future is None:
                raise TimeoutError(f"{left} of {len(futures)} futures have not ended")
            left -= 1
            yield future


def _deadline(timeout: float | None) -> float | None:
    return None if timeout is None else monotonic() + timeout


def _failed(future: AnyFuture) -> bool:
    return not future.cancelled() and future.exception() is not None


_BROKEN = "an initializer of the executor's threads failed; its calls are not made"
