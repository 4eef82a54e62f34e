"""Groups of greenlets, and pools: groups that hold so many at a time.

Owns ``Group`` and ``Pool``. A group keeps the greenlets that were added to it until they end; a pool lets
one in only when there is room, in the order of asking. Refuses nothing else: what a greenlet of a group
raises is its own affair, unless ``join(raise_error=True)`` asks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from greenlet import GreenletExit

from greenscope.runtime.event import Event
from greenscope.runtime.greenlet import Greenlet, joinall, killall
from greenscope.runtime.hub import sleep
from greenscope.runtime.mapping import Mapping
from greenscope.runtime.queue import Full
from greenscope.runtime.semaphore import Semaphore
from greenscope.runtime.timeout import Timeout
from greenscope.runtime.waiter import running

__all__ = ["Group", "Pool", "PoolFull"]


class PoolFull(Full):
    """There was no room in the pool, in time."""


class Group(Mapping):
    """Greenlets that are waited for and killed together.

    Args:
        greenlets: what to begin with.
    """

    greenlet_class: type[Greenlet] = Greenlet
    """What ``spawn`` makes."""

    def __init__(self, greenlets: Iterable[Any] = ()) -> None:
        self.greenlets: set[Any] = set()
        self.dying: set[Any] = set()
        self._empty = Event()
        self._empty.set()
        for one in greenlets:
            self.add(one)

    def __len__(self) -> int:
        return len(self.greenlets)

    def __contains__(self, item: object) -> bool:
        return item in self.greenlets

    def __iter__(self) -> Iterator[Any]:
        return iter(self.greenlets)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self.greenlets)}>"

    def add(self, greenlet: Any) -> None:
        """Keep ``greenlet``, started or not, until it has ended."""
        self._keep(greenlet)

    def discard(self, greenlet: Any) -> None:
        """Do not keep ``greenlet`` any longer; does nothing if it is not in."""
        if greenlet in self.greenlets:
            if hasattr(greenlet, "left_by"):
                greenlet.left_by(self)
            elif hasattr(greenlet, "unlink"):
                greenlet.unlink(self._discard)
            self._discard(greenlet)

    def start(self, greenlet: Greenlet) -> None:
        """Add ``greenlet``, which was not started yet, and start it."""
        self.add(greenlet)
        greenlet.start()

    def spawn(self, *args: Any, **kwargs: Any) -> Greenlet:
        """A greenlet with these arguments, added and started; waits for room where that is limited."""
        greenlet = self.greenlet_class(*args, **kwargs)
        self.start(greenlet)
        return greenlet

    def join(self, timeout: float | None = None, raise_error: bool = False) -> bool:
        """Wait until all have ended.

        Args:
            timeout: seconds to wait at most.
            raise_error: whether to raise what the first that failed raised.

        Returns:
            Whether the group is empty.
        """
        greenlets = list(self.greenlets) if raise_error else ()
        result = self._empty.wait(timeout=timeout)
        for one in greenlets:
            if hasattr(one, "exception") and one.exception is not None:
                raise one.exception
        return result

    def kill(
        self,
        exception: BaseException | type[BaseException] = GreenletExit,
        block: bool = True,
        timeout: float | None = None,
    ) -> None:
        """Raise ``exception`` in all, those too that are added meanwhile; and wait until they have ended.

        Args:
            exception: what to raise in each.
            block: whether to wait.
            timeout: seconds to wait at most; what has not ended by then is left alone.
        """
        timer = Timeout.start_new(timeout)
        try:
            while self.greenlets:
                for one in list(self.greenlets):
                    if one not in self.dying:
                        self.dying.add(one)  # first: one that has not run yet ends, and is taken out, at once
                        killall([one], exception, block=False)
                if not block:
                    break
                bare = {one for one in self.greenlets if not hasattr(one, "rawlink")}
                joinall(self.greenlets - bare)
                if bare:  # nobody is told of their end
                    sleep(0)
                for one in bare:
                    self.discard(one)
        except Timeout as error:
            if error is not timer:
                raise
        finally:
            timer.cancel()

    def killone(
        self,
        greenlet: Any,
        exception: BaseException | type[BaseException] = GreenletExit,
        block: bool = True,
        timeout: float | None = None,
    ) -> None:
        """``kill`` of one, if it is in the group and was not killed before."""
        if greenlet not in self.dying and greenlet in self.greenlets:
            self.dying.add(greenlet)
            greenlet.kill(exception, block=False)
            if block:
                greenlet.join(timeout)

    def full(self) -> bool:
        """Whether ``add`` would wait; never."""
        return False

    def wait_available(self, timeout: float | None = None) -> int | None:  # noqa: ARG002
        """Wait until there is room; there always is."""
        return None

    def _keep(self, greenlet: Any) -> None:
        self.greenlets.add(greenlet)
        self._empty.clear()
        joined_by = getattr(greenlet, "joined_by", None)
        if joined_by is not None:
            if not joined_by(self):
                self._discard(greenlet)
        elif hasattr(greenlet, "rawlink"):
            greenlet.rawlink(self._discard)

    def ended(self, greenlet: Any) -> None:
        """What a greenlet of the group calls at its end, in its thread."""
        self._discard(greenlet)

    def _discard(self, greenlet: Any) -> None:
        """``greenlet`` has ended, or is in no longer."""
        self.greenlets.discard(greenlet)
        self.dying.discard(greenlet)
        if not self.greenlets:
            self._empty.set()

    # How the mapping half does what it does.

    def _apply_here(self) -> bool:
        """Whether a call is to be made in this greenlet: one of the group must not wait for room in it."""
        return running() in self.greenlets

    def _spawn_outside(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Greenlet:
        return Greenlet.spawn(function, *args, **kwargs)

    def _use_outside(self) -> bool:
        """Whether ``apply_async`` must not wait for room."""
        return self.full()


class Pool(Group):
    """A group that holds ``size`` greenlets; who adds one to a full pool waits for room.

    Args:
        size: how many; None is no limit; 0 is none, and nothing can be added.
        greenlet_class: what ``spawn`` makes, instead of ``Greenlet``.

    Raises:
        ValueError: a negative size.
    """

    def __init__(self, size: int | None = None, greenlet_class: type[Greenlet] | None = None) -> None:
        if size is not None and size < 0:
            raise ValueError(f"a pool holds 0 or more greenlets, not {size}")
        super().__init__()
        self.size = size
        if greenlet_class is not None:
            self.greenlet_class = greenlet_class
        self._room = Semaphore(size) if size is not None else None

    def wait_available(self, timeout: float | None = None) -> int:
        """Wait until there is room, for at most ``timeout`` seconds; for how many there is."""
        return 1 if self._room is None else self._room.wait(timeout)

    def full(self) -> bool:
        """Whether ``add`` would wait."""
        return self.free_count() <= 0

    def free_count(self) -> int:
        """For how many there is room; 1 if there is no limit."""
        return 1 if self._room is None else max(0, self._room.counter)

    def add(self, greenlet: Any, blocking: bool = True, timeout: float | None = None) -> None:
        """Keep ``greenlet``, started or not, until it has ended.

        Args:
            greenlet: it; does nothing if it is in already.
            blocking: whether to wait for room.
            timeout: seconds to wait at most.

        Raises:
            PoolFull: there was none.
        """
        if self._room is not None and not self._room.acquire(blocking=blocking, timeout=timeout):
            raise PoolFull(f"there was no room for {greenlet!r}: all {self.size} places are taken")
        if greenlet in self.greenlets:  # perhaps since it waited
            if self._room is not None:
                self._room.release()
            return
        try:
            self._keep(greenlet)
        except BaseException:
            if self._room is not None:
                self._room.release()
            raise

    def start(self, greenlet: Greenlet, blocking: bool = True, timeout: float | None = None) -> None:
        """``add`` of ``greenlet``, which was not started yet; and start it."""
        self.add(greenlet, blocking, timeout)
        greenlet.start()

    def _discard(self, greenlet: Any) -> None:
        if greenlet in self.greenlets:
            super()._discard(greenlet)
            if self._room is not None:
                self._room.release()
