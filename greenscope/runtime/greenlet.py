"""Greenlets: what ``spawn`` gives.

Owns ``Greenlet``: a function that runs in a greenlet of its own, its result or exception, and who is
told when it ends. Refuses to end the hub: what the function raises is printed, kept for ``get``, and
goes no further (but KeyboardInterrupt and SystemExit, which go to the main greenlet).

A greenlet begins to exist in the recording when it is started, not when the object is made. A kill
before its first switch ends it without running it. It runs in the thread that made it; any thread may
start it, join it, link to it and kill it.
"""

from __future__ import annotations

import sys
from _thread import get_ident
from collections.abc import Callable
from functools import wraps
from types import GenericAlias, TracebackType
from typing import TYPE_CHECKING, Any, Self
from weakref import ref

import greenlet as _greenlet
from greenlet import GreenletExit, getcurrent

from greenscope.runtime.current import current
from greenscope.runtime.hub import Hub, get_hub
from greenscope.runtime.idents import ident_of
from greenscope.runtime.line import park_for
from greenscope.runtime.links import Ending, Link, SpawnedLink
from greenscope.runtime.loop import TimerWatcher
from greenscope.runtime.raw_greenlet import spawn_raw
from greenscope.runtime.waiter import State, Waiter
from greenscope.runtime.waiting import joinall, killall
from greenscope.trace.events import Exit, Ready, Spawn, Wait

if not TYPE_CHECKING:
    try:
        from greenscope.runtime._stacks import install as _keep_stacks
    except ImportError:  # not compiled: every greenlet asks the kernel for its stack, and is slower to spawn
        pass
    else:
        _keep_stacks()

__all__ = ["Greenlet", "getcurrent", "joinall", "killall", "park_for", "spawn", "spawn_later", "spawn_raw"]

_ID_MASK = (1 << 40) - 1

_STARTED = Waiter(Wait.OTHER)
_OTHER = Wait.OTHER
_SPAWN = int(Ready.SPAWN)
_GREENLET = int(Spawn.GREENLET)
_RETURNED = Exit.RETURNED  # to look a member up costs as much as to record the event
_RAISED = Exit.RAISED

_init_greenlet = _greenlet.greenlet.__init__
_has_begun = _greenlet.greenlet.__bool__
_throw = _greenlet.greenlet.throw

_on_spawn: list[Link] = []


class Greenlet(Ending):
    """A function that runs in a greenlet of its own.

    Args:
        run: the function; or override ``_run`` in a subclass.
        arguments, keywords: what it is called with.
    """

    __slots__ = (
        "_function",
        "_locals",
        "_name",
        "_start",
        "_state",
        "_title",
        "_tree_locals",
        "args",
        "kwargs",
        "spawning_greenlet",
    )

    spawning_stack: Any = None
    """Where it was spawned. The recording knows; here it would cost more than it is worth."""

    spawning_stack_limit = 0

    def __init__(self, run: Callable[..., Any] | None = None, *arguments: Any, **keywords: Any) -> None:
        # Slots, all written here, cost a third of what finding defaults in the class does later.
        hub = current.hub
        if hub is None:
            hub = get_hub()
        _init_greenlet(self, None, hub)
        if run is not None and not callable(run):
            raise TypeError(f"a greenlet runs a function; {run!r} cannot be called")
        self._function = run
        self._hub: Hub = hub
        self.args = arguments
        self.kwargs = keywords
        self.value: Any = None
        self._done = False
        self._error: BaseException | None = None
        self._handle = 0
        self._joiners: list[Any] = []
        self._links: list[Any] | None = None
        self._name: str | None = None
        self._resource = 0
        self._start: Waiter | TimerWatcher | None = None
        self._title = ""
        self._locals: Any = None  # see ``local``
        spawner: Any = getcurrent()
        self.spawning_greenlet = ref(spawner)
        tree: dict[str, Any] | None = getattr(spawner, "_tree_locals", None)
        if tree is None and spawner.parent is not None:  # main's children do not share
            tree = spawner._tree_locals = {}
        self._tree_locals = tree

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        run = cls.__dict__.get("run")
        if run is not None:  # as if it were ``_run``, which knows how to end
            cls.run = _overridden(run)  # type: ignore[method-assign]

    __class_getitem__: Any = classmethod(GenericAlias)

    @classmethod
    def spawn(cls, *arguments: Any, **keywords: Any) -> Self:
        """A new greenlet with these arguments, started."""
        new = cls(*arguments, **keywords)
        new.start()
        return new

    @classmethod
    def spawn_later(cls, seconds: float, /, *arguments: Any, **keywords: Any) -> Self:
        """A new greenlet with these arguments, to be started in ``seconds``."""
        new = cls(*arguments, **keywords)
        new.start_later(seconds)
        return new

    @property
    def _run(self) -> Callable[..., Any]:
        """The function; a subclass may have a method of this name instead."""
        return self._function or _nothing

    @_run.setter
    def _run(self, function: Callable[..., Any]) -> None:
        self._function = function

    # Its name, and how it is doing.

    @property
    def name(self) -> str:
        """What it is called: its function's name and its number, until you give it one."""
        return self._name or f"{self._title or self._function_name()} #{self._handle & _ID_MASK}"

    @name.setter
    def name(self, name: str) -> None:
        self._name = name
        if self._handle and not self._done:
            recorder = self._hub.recorder
            recorder.rename(self._handle, recorder.string(name), 0)

    @property
    def minimal_ident(self) -> int:
        """A small number that no other living greenlet has."""
        return ident_of(self)

    @property
    def spawn_tree_locals(self) -> dict[str, Any]:
        """A dictionary shared with those it spawns, and theirs; every child of a main greenlet has one of its own."""
        tree = self._tree_locals
        if tree is None:
            tree = self._tree_locals = {}
        return tree

    @spawn_tree_locals.setter
    def spawn_tree_locals(self, tree: dict[str, Any]) -> None:
        self._tree_locals = tree

    @property
    def loop(self) -> Any:
        """The loop of its hub."""
        return self._hub.loop

    @property
    def started(self) -> bool:
        """Whether it was started (and has not ended)."""
        return self._start is not None and not self._done

    @property
    def dead(self) -> bool:
        """Whether it has ended, or was killed before it ran."""
        return self._done

    def __bool__(self) -> bool:
        """Whether it was started and has not ended."""
        return self._start is not None and not self._done

    # Its start and its end.

    @staticmethod
    def add_spawn_callback(callback: Link) -> None:
        """Have ``callback`` called with every greenlet that is started, as it is."""
        _on_spawn.append(callback)

    @staticmethod
    def remove_spawn_callback(callback: Link) -> None:
        """Undo ``add_spawn_callback``."""
        while callback in _on_spawn:
            _on_spawn.remove(callback)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait until it has ended; what the body of the ``with`` raised, or the wait, is raised in it as well."""
        if value is not None:
            self.kill(value)
            return
        try:
            self.join()
        finally:
            self.kill()

    def start(self) -> None:
        """Have the hub run it soon; a second start does nothing."""
        if self._start is not None:
            return
        hub = self._hub
        if get_ident() != hub.thread:
            hub.loop.call_threadsafe(self.start)
            return
        self._begin()
        self._start = start = Waiter(_OTHER, 0, "its first turn")
        start.greenlet = self
        start.state = self._state
        hub.record_ready(self._handle, _SPAWN, hub.recorder.current)
        start.queued = True
        hub.ready.append(start)
        if _on_spawn:
            self._tell_spawned()

    def start_later(self, seconds: float) -> None:
        """Have the hub run it in ``seconds``."""
        if self._start is None:
            self._begin()
            self._start = watcher = self._hub.loop.sleeper(seconds)
            watcher.wait_begins(self, self._state)
            if _on_spawn:
                self._tell_spawned()

    def _tell_spawned(self) -> None:
        for callback in tuple(_on_spawn):
            callback(self)

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
        hub = self._hub_now()
        if get_ident() != hub.thread:
            hub.loop.call_threadsafe(self.kill, error, False)
        elif block and getcurrent() is self:
            raise error
        elif not _has_begun(self):  # not switched to yet
            self._never_ran(error)
        else:
            hub.raise_in(self, error, Ready.KILL, hub.recorder.current)
        if block and not self._done:
            self.join(timeout)

    def throw(self, *exc_info: Any) -> Any:
        """Raise in it at once, as ``raise`` would take it. For callbacks in the hub; others want ``kill``."""
        if self._done:
            return None
        if not _has_begun(self):
            self._never_ran(_error_of(*exc_info))
            return None
        if getcurrent() is not self._hub:  # the hub has said so itself
            self._hub.recorder.throw(self._handle)
        return _throw(self, *exc_info)

    def run(self, _entry: object = None, body: Callable[..., Any] | None = None) -> None:
        """What the greenlet's stack begins with; not for calling. A subclass may override it, as ``_run``."""
        how = _RAISED
        try:
            start = self._start
            if start.__class__ is Waiter:
                start.greenlet = None
                self._start = _STARTED
            else:
                self._forget_start()
            self.value = (body or self._function or self._run)(*self.args, **self.kwargs)
            how = _RETURNED
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

    def __repr__(self) -> str:
        how = "ended" if self._done else "started" if self.started else "not started"
        return f"<{type(self).__name__} {self.name} {how}>"

    def _function_name(self) -> str:
        run = self._function or self._run
        return getattr(run, "__qualname__", None) or type(run).__qualname__

    def _hub_now(self) -> Hub:
        """Its hub; after a fork, the child's."""
        return get_hub() if self._hub.loop.closed else self._hub

    def _begin(self) -> None:
        hub = self._hub
        recorder = hub.recorder
        self._title = title = self._title or self._function_name()
        name = self._name
        handle = recorder.spawn(_GREENLET, recorder.string(name or title), not name, recorder.current)
        self._handle = handle
        self._state = State(hub, hub.loop, handle)
        if self._joiners:
            self._name_to_joiners()

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
        if self._done:
            return
        if not self._title:
            self._title = self._function_name()
        self._done = True
        self.args, self.kwargs = (), {}
        self._function = None
        self._locals = None
        if self._links or self._joiners:
            self._tell_end()
        handle = self._handle
        if handle:
            try:
                state: State = self._state
            except AttributeError:  # a fork's child has taken it away
                state = self._hub_now().state_of(self)
            state.hub.recorder.exit(state.handle, how)
            state.waiting_on = state.yielder = None  # they know the state: freed now, not by the collector


SpawnedLink.spawn = Greenlet.spawn

spawn = Greenlet.spawn
spawn_later = Greenlet.spawn_later


def _nothing(*_arguments: Any, **_keywords: Any) -> None:
    """What a greenlet without a function does."""


def _overridden(run: Callable[..., Any]) -> Callable[..., None]:
    @wraps(run)
    def body(self: Greenlet, _entry: object = None) -> None:
        Greenlet.run(self, None, lambda *_arguments, **_keywords: run(self))

    return body


def _error_of(kind: Any = GreenletExit, value: Any = None, trace: TracebackType | None = None) -> BaseException:
    """The exception that ``raise`` would make of this."""
    if isinstance(kind, BaseException):
        error = kind
    elif isinstance(value, BaseException):
        error = value
    else:
        error = kind() if value is None else kind(value)
    return error.with_traceback(trace) if trace is not None else error
