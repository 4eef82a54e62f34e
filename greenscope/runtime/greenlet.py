"""Greenlets: what ``spawn`` gives, and how to wait for many of them.

Owns ``Greenlet``: a function that runs in a greenlet of its own, its result or exception, and who is
told when it ends. Refuses to end the hub: what the function raises is printed, kept for ``get``, and
goes no further (but KeyboardInterrupt and SystemExit, which go to the main greenlet).

A greenlet begins to exist in the recording when it is started, not when the object is made. A kill
before its first switch ends it without running it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any

import greenlet as _greenlet
from greenlet import GreenletExit, getcurrent

from greenscope.runtime.hub import Hub, get_hub
from greenscope.runtime.line import park_for
from greenscope.runtime.loop import TimerWatcher
from greenscope.runtime.timeout import Timeout
from greenscope.runtime.waiter import State, Waiter
from greenscope.trace.events import Exit, Ready, Spawn, Wait

__all__ = ["Greenlet", "joinall", "killall", "spawn", "spawn_later"]

_ID_MASK = (1 << 40) - 1

_STARTED = Waiter(Wait.OTHER)

Link = Callable[["Greenlet"], object]


class Greenlet(_greenlet.greenlet):
    """A function that runs in a greenlet of its own.

    Args:
        run: the function; or override ``_run`` in a subclass.
        arguments, keywords: what it is called with.
    """

    __slots__ = (
        "_done",
        "_error",
        "_function",
        "_handle",
        "_hub",
        "_joiners",
        "_links",
        "_name",
        "_resource",
        "_start",
        "_state",
        "args",
        "kwargs",
        "value",
    )

    def __init__(self, run: Callable[..., Any] | None = None, *arguments: Any, **keywords: Any) -> None:
        hub = get_hub()
        super().__init__(None, hub)
        if run is not None:
            if not callable(run):
                raise TypeError(f"a greenlet runs a function; {run!r} cannot be called")
            self._run = run  # type: ignore[method-assign]
        self._function = getattr(self._run, "__qualname__", None) or type(self._run).__qualname__
        self._hub: Hub = hub
        self.args = arguments
        self.kwargs = keywords
        self.value: Any = None
        self._done = False
        self._error: BaseException | None = None
        self._handle = 0
        self._joiners: list[Waiter] = []
        self._links: list[Link] = []
        self._name: str | None = None
        self._resource = 0
        self._start: Waiter | TimerWatcher | None = None

    @classmethod
    def spawn(cls, *arguments: Any, **keywords: Any) -> Greenlet:
        """A new greenlet with these arguments, started."""
        new = cls(*arguments, **keywords)
        new.start()
        return new

    @classmethod
    def spawn_later(cls, seconds: float, /, *arguments: Any, **keywords: Any) -> Greenlet:
        """A new greenlet with these arguments, to be started in ``seconds``."""
        new = cls(*arguments, **keywords)
        new.start_later(seconds)
        return new

    def _run(self, *arguments: Any, **keywords: Any) -> Any:
        """What the greenlet does, where no function was given."""

    # Its name, and how it is doing.

    @property
    def name(self) -> str:
        """What it is called: its function's name and its number, until you give it one."""
        return self._name or f"{self._function} #{self._handle & _ID_MASK}"

    @name.setter
    def name(self, name: str) -> None:
        self._name = name
        if self._handle and not self._done:
            recorder = self._hub.recorder
            recorder.rename(self._handle, recorder.string(name), 0)

    @property
    def started(self) -> bool:
        """Whether it was started (and has not ended)."""
        return self._start is not None and not self._done

    @property
    def dead(self) -> bool:
        """Whether it has ended, or was killed before it ran."""
        return self._done

    def ready(self) -> bool:
        """Whether it has ended, and so has a value or an exception."""
        return self._done

    def successful(self) -> bool:
        """Whether it has ended without an exception; being killed is not one."""
        return self._done and self._error is None

    def __bool__(self) -> bool:
        """Whether it was started and has not ended."""
        return self.started

    @property
    def exception(self) -> BaseException | None:
        """What its function raised."""
        return self._error

    @property
    def exc_info(self) -> tuple[type[BaseException], BaseException, TracebackType | None] | None:
        """What its function raised, as ``sys.exc_info`` would give it."""
        error = self._error
        return (type(error), error, error.__traceback__) if error is not None else None

    # Its start and its end.

    def start(self) -> None:
        """Have the hub run it soon; a second start does nothing."""
        if self._start is None:
            self._begin()
            self._start = start = Waiter(Wait.OTHER, 0, "its first turn")
            start.greenlet = self
            start.state = self._state
            start.wake(Ready.SPAWN, self._hub.recorder.current)

    def start_later(self, seconds: float) -> None:
        """Have the hub run it in ``seconds``."""
        if self._start is None:
            self._begin()
            self._start = watcher = self._hub.loop.sleeper(seconds)
            watcher.wait_begins(self, self._state)

    def kill(
        self,
        exception: BaseException | type[BaseException] = GreenletExit,
        block: bool = True,
        timeout: float | None = None,
    ) -> None:
        """Raise ``exception`` in it, and wait until it has ended.

        Args:
            exception: what to raise; GreenletExit ends it without a message.
            block: whether to wait.
            timeout: seconds to wait at most.
        """
        if self._done:
            return
        error = exception() if isinstance(exception, type) else exception
        if block and getcurrent() is self:
            raise error
        if not _greenlet.greenlet.__bool__(self):  # not switched to yet
            self._never_ran(error)
            return
        self._hub.raise_in(self, error, Ready.KILL, self._hub.recorder.current)
        if block:
            self.join(timeout)

    def run(self, _entry: object = None) -> None:
        """What the greenlet's stack begins with; not for calling."""
        how = Exit.RAISED
        try:
            self._forget_start()
            self.value = self._run(*self.args, **self.kwargs)
            how = Exit.RETURNED
        except GreenletExit as error:
            self.value = error
            how = Exit.KILLED
            error.__traceback__ = None  # it leads back to us, through a frame of the hub
        except BaseException as error:
            self._error = error
            self._hub_now().handle_error(self, *sys.exc_info())
        finally:  # whoever waits is told even if Ctrl-C strikes while the error is printed
            self._finish(how)
            del self  # the error we keep knows this frame

    # Waiting for it.

    def join(self, timeout: float | None = None) -> None:
        """Wait until it has ended, for at most ``timeout`` seconds; raises nothing if it has not."""
        if not self._done:
            self._wait(timeout)

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """Its value, once it has ended.

        Args:
            block: whether to wait for that.
            timeout: seconds to wait at most.

        Raises:
            Timeout: it has not ended by then.
            BaseException: what its function raised.
        """
        if not self._done:
            if not block:
                raise Timeout
            timer = Timeout.start_new(timeout)
            try:
                self._wait(None)
            except Timeout as error:
                if error is not timer or not self._done:
                    raise
            finally:
                timer.cancel()
        if self._error is not None:
            raise self._error
        return self.value

    def rawlink(self, callback: Link) -> None:
        """Have the hub call ``callback`` with this greenlet when it has ended; it must not wait."""
        _require_callable(callback)
        if self._done:
            self._hub_now().call(callback, self)
        else:
            self._links.append(callback)

    def link(self, callback: Link) -> None:
        """Spawn ``callback`` with this greenlet when it has ended."""
        self.rawlink(_Link(callback, None))

    def link_value(self, callback: Link) -> None:
        """Spawn ``callback`` with this greenlet when it has ended without an exception."""
        self.rawlink(_Link(callback, True))

    def link_exception(self, callback: Link) -> None:
        """Spawn ``callback`` with this greenlet when it has ended with an exception."""
        self.rawlink(_Link(callback, False))

    def unlink(self, callback: Link) -> None:
        """Undo ``link`` and ``rawlink``."""
        self._links = [link for link in self._links if link != callback]

    def __repr__(self) -> str:
        how = "ended" if self._done else "started" if self.started else "not started"
        return f"<{type(self).__name__} {self.name} {how}>"

    def _hub_now(self) -> Hub:
        """Its hub; after a fork, the child's."""
        parent = self.parent
        return parent if isinstance(parent, Hub) else self._hub

    def _begin(self) -> None:
        hub = self._hub
        recorder = hub.recorder
        name = recorder.string(self._name or self._function)
        self._handle = recorder.spawn(Spawn.GREENLET, name, 0 if self._name else 1, recorder.current)
        self._state = State(hub, hub.loop, self._handle)

    def _forget_start(self) -> None:
        start = self._start
        if isinstance(start, TimerWatcher):
            start.wait_ends()
            start.release()
        elif start is not None:
            start.greenlet = None
        self._start = _STARTED

    def _never_ran(self, error: BaseException) -> None:
        self._forget_start()
        if isinstance(error, GreenletExit):
            self.value = error
        else:
            self._error = error
            self._hub_now().handle_error(self, type(error), error, error.__traceback__)
        self._finish(Exit.KILLED)

    def _finish(self, how: Exit) -> None:
        self._done = True
        self.args, self.kwargs = (), {}
        self.__dict__.pop("_run", None)
        handle = self._handle
        links, self._links = self._links, []
        hub = self._hub_now()
        for link in links:  # before the joiners: who goes on after join() finds them called
            if isinstance(link, _Link):
                link(self)
            else:
                hub.call(link, self)
        joiners, self._joiners = self._joiners, []
        for waiter in joiners:
            waiter.wake(Ready.GREENLET, handle)
        if handle:
            state = hub.state_of(self)
            hub.recorder.exit(state.handle, how)
            state.waiting_on = state.yielder = None  # they know the state: freed now, not by the collector

    def _wait(self, timeout: float | None) -> bool:
        if getcurrent() is self:
            raise RuntimeError(f"{self.name} cannot wait for itself to end")
        hub = get_hub()
        if not self._resource:
            self._resource = hub.recorder.resource()
        waiter = Waiter(Wait.JOIN, self._resource, f"greenlet {self.name} to end")
        self._joiners.append(waiter)
        try:
            return park_for(hub, waiter, timeout)
        finally:
            if not self._done:
                self._joiners.remove(waiter)


class _Link:
    """Spawns a callback, if the greenlet ended as wanted; equal to the callback, for ``unlink``."""

    __slots__ = ("_callback", "_successful")

    def __init__(self, callback: Link, successful: bool | None) -> None:
        _require_callable(callback)
        self._callback = callback
        self._successful = successful

    def __call__(self, source: Greenlet) -> None:
        if self._successful is None or self._successful == source.successful():
            Greenlet.spawn(self._callback, source)

    def __eq__(self, other: object) -> bool:
        return self is other or self._callback == other

    __hash__ = None  # type: ignore[assignment]


def _require_callable(callback: object) -> None:
    if not callable(callback):
        raise TypeError(f"a greenlet's end can be linked to a function; {callback!r} cannot be called")


def spawn(function: Callable[..., Any], /, *arguments: Any, **keywords: Any) -> Greenlet:
    """A started greenlet that runs ``function`` with these arguments."""
    return Greenlet.spawn(function, *arguments, **keywords)


def spawn_later(seconds: float, function: Callable[..., Any], /, *arguments: Any, **keywords: Any) -> Greenlet:
    """A greenlet that runs ``function`` with these arguments in ``seconds``."""
    return Greenlet.spawn_later(seconds, function, *arguments, **keywords)


def joinall(
    greenlets: Iterable[Greenlet],
    timeout: float | None = None,
    raise_error: bool = False,
    count: int | None = None,
) -> list[Greenlet]:
    """Wait until greenlets have ended.

    Args:
        greenlets: which.
        timeout: seconds to wait at most, for all together.
        raise_error: whether to raise what the first that failed raised.
        count: how many to wait for; None is all.

    Returns:
        Those that have ended, in the order they did.
    """
    waiting = list(dict.fromkeys(greenlets))
    done = [one for one in waiting if one.ready()]
    wanted = len(waiting) if count is None else min(count, len(waiting))
    hub = get_hub()
    waiter = Waiter(Wait.JOIN, 0, f"{len(waiting)} greenlets to end")
    if raise_error:
        _raise_first(done)

    def ended(one: Greenlet) -> None:
        done.append(one)
        waiter.wake(Ready.GREENLET, one._handle)

    for one in waiting:
        if not one.ready():
            one.rawlink(ended)
    timer = Timeout(timeout)
    timer.start()
    try:
        while len(done) < wanted:
            hub.park(waiter)
            if raise_error:
                _raise_first(done)
    except Timeout as error:
        if error is not timer:
            raise
        told = set(done)  # some may have ended in the same round
        done += [one for one in waiting if one.ready() and one not in told]
        if raise_error:
            _raise_first(done)
    finally:
        timer.cancel()
        for one in waiting:
            one.unlink(ended)
    return done[:wanted] if count is not None else done


def killall(
    greenlets: Iterable[Greenlet],
    exception: BaseException | type[BaseException] = GreenletExit,
    block: bool = True,
    timeout: float | None = None,
) -> None:
    """Raise ``exception`` in greenlets, and wait until they have ended.

    Args:
        greenlets: which.
        exception: what to raise in each.
        block: whether to wait.
        timeout: seconds to wait at most, for all together.

    Raises:
        Timeout: some had not ended by then.
    """
    targets = list(greenlets)
    for one in targets:
        one.kill(exception, block=False)
    if block:
        with Timeout(timeout):
            joinall(targets)


def _raise_first(done: list[Greenlet]) -> None:
    for one in done:
        if one.exception is not None:
            raise one.exception
