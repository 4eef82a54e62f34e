"""What every server is: something that accepts, in a greenlet of its own, and hands on.

Owns ``BaseServer``: how handlers are spawned and how many, when it accepts and when not, and what it
does about errors. What it accepts, connections or datagrams, is a subclass's (``do_read``).

The greenlet is called "accept" and does nothing else. It stops while the pool of handlers is full, lets
others run after ``max_accept`` in a row, and after an error waits before it tries again, longer each
time: a loop that accepts, fails and accepts again at once would take the whole processor exactly when
there is trouble, which for a process that is out of descriptors is all the time.
"""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable
from traceback import print_exc
from typing import Any, ClassVar, Self

from greenscope.runtime.event import Event
from greenscope.runtime.greenlet import Greenlet
from greenscope.runtime.hub import get_hub, sleep
from greenscope.runtime.loop import READ
from greenscope.runtime.pool import Pool
from greenscope.runtime.raw_greenlet import spawn_raw
from greenscope.runtime.waiter import running
from greenscope.runtime.watcher import IoWatcher

__all__ = ["BaseServer"]

Handle = Callable[..., Any]


class BaseServer:
    """Accepts, and calls ``handle`` for what it accepted in a greenlet of its own.

    Args:
        listener: the address to listen at, or a socket that is bound already.
        handle: what to do with each; or override ``handle`` in a subclass.
        spawn: how that is run: "default" in a ``Greenlet``; "raw" in a raw one; a ``Pool``, or a number
            for one of that size, in no more greenlets at a time; None in the greenlet that accepts,
            one after the other; or a function that is called with the function and its arguments.

    Raises:
        TypeError: there is no handle, or one of the arguments is of no use.
        ValueError: an address, or a number, that makes no sense.
    """

    min_delay: float = 0.01
    """Seconds to wait after an error; doubled after each that follows."""

    max_delay: float = 1
    """Seconds to wait at most."""

    max_accept: int = 100
    """How many to accept in a row before others get their turn."""

    stop_timeout: float | None = 1
    """Seconds that ``stop`` gives the handlers in the pool."""

    fatal_errors: ClassVar[tuple[int, ...]] = (errno.EBADF, errno.EINVAL, errno.ENOTSOCK)
    """Errors after which there is no listener any more."""

    handle: Handle
    socket: Any  # from start() to close(), or from the beginning if it was given

    def __init__(self, listener: Any, handle: Handle | None = None, spawn: Any = "default") -> None:
        self._stop_event = Event()
        self._stop_event.set()
        self._room = Event()
        self._room.set()
        self._acceptor: Greenlet | None = None
        self._watcher: IoWatcher | None = None
        self._given: Any = None
        self._ended = False
        self._run: Handle | None = None
        self._spawn: Any = None
        self.address: Any = None
        self.delay = self.min_delay
        self.family: Any = None
        self.pool: Pool | None = None
        try:
            self.set_listener(listener)
            self.set_spawn(spawn)
            self.set_handle(handle)
        except BaseException:
            self.close()
            raise

    # What it is made of.

    def set_listener(self, listener: Any) -> None:
        """Take an address, or a socket that is bound, to listen at."""
        raise NotImplementedError(f"{type(self).__name__} does not say what it listens at")

    def set_spawn(self, spawn: Any) -> None:
        """Take how handlers are run; see the class."""
        self.pool = None
        if spawn == "default":
            self._spawn = Greenlet.spawn
        elif spawn == "raw":
            self._spawn = spawn_raw
        elif spawn is None:
            self._spawn = None
        elif isinstance(spawn, int):
            if isinstance(spawn, bool) or spawn < 1:
                raise ValueError(f"a server runs 1 or more handlers at a time, not {spawn!r}")
            self.set_spawn(Pool(spawn))
        elif hasattr(spawn, "spawn"):
            self.pool = spawn
            self._spawn = spawn.spawn
        elif callable(spawn):
            self._spawn = spawn
        else:
            raise ValueError(f'spawn is "default", "raw", None, a pool, its size, or a function; not {spawn!r}')

    def set_handle(self, handle: Handle | None) -> None:
        """Take what is done with each; None is the method of that name."""
        if handle is not None:
            self.handle = handle
        if getattr(self, "handle", None) is None:
            raise TypeError(f"'handle' must be provided: give {type(self).__name__} one, or override the method")
        self._run = self._handler()

    def _handler(self) -> Handle:
        """What a greenlet runs; called as the handle is, because the greenlet is named after it."""
        handle, close, room = self._handle_one(), self.do_close, self._room

        def handle_and_close(*what: Any) -> None:
            try:
                handle(*what)
            finally:
                close(*what)
                if not room.is_set():
                    room.set()

        handle_and_close.__qualname__ = getattr(self.handle, "__qualname__", type(self.handle).__qualname__)
        return handle_and_close

    def _handle_one(self) -> Handle:
        return self.handle

    # What a subclass says: how to get one, and how to be rid of it.

    def init_socket(self) -> None:
        """Have ``self.socket`` listen, if it does not yet."""

    def do_read(self) -> tuple[Any, ...] | None:
        """What has come, as the handle's arguments; None if nothing has. Must not wait."""
        raise NotImplementedError(f"{type(self).__name__} does not say what it accepts")

    def do_close(self, *what: Any) -> None:
        """Be rid of one, when its handle is done."""

    # Accepting.

    def start_accepting(self) -> None:
        """Accept, if it does not. ``start`` is what calls it; later on, what undoes ``stop_accepting``."""
        if self._acceptor is None:
            hub = get_hub()
            fd = self.socket.fileno()
            # Its own, not the socket's: the one of the greenlet that was just stopped may still be in use.
            self._watcher = hub.loop.io(fd, READ, peer=self.socket._peer_bytes())
            self._acceptor = Greenlet(self._accept_all)
            self._acceptor.name = "accept"
            self._acceptor.start()

    def stop_accepting(self) -> None:
        """Accept no more for now. The kernel goes on to queue what comes."""
        acceptor, self._acceptor = self._acceptor, None
        watcher, self._watcher = self._watcher, None
        if acceptor is not None and acceptor is not running():
            acceptor.kill(block=False)
        if watcher is not None:
            watcher.close()

    def _accept_all(self) -> None:
        me = self._acceptor
        in_a_row = 0
        while self._acceptor is me:
            if self.full():
                self._wait_for_room()
                continue
            what: tuple[Any, ...] | None = None
            try:
                what = self.do_read()
                if what is None:
                    in_a_row = 0
                    watcher = self._watcher
                    assert watcher is not None
                    get_hub().wait(watcher)
                    continue
                self.delay = self.min_delay
                self.do_handle(*what)
            except Exception as error:
                if self._acceptor is not me and what is None:  # stopped, which is how the wait ended
                    return
                self._failed(error, what)
            in_a_row += 1
            if in_a_row >= self.max_accept:
                in_a_row = 0
                sleep(0)

    def _failed(self, error: Exception, what: tuple[Any, ...] | None) -> None:
        """Nothing was got, or what was got could not be handed on."""
        if what is not None:
            self.do_close(*what)
        if sys.stderr is not None:
            if isinstance(error, OSError):
                print(f"{self} cannot accept: {error}; again in {self.delay:g} s", file=sys.stderr)
            else:
                print_exc()
                print(f"{self} failed with {type(error).__name__}; again in {self.delay:g} s", file=sys.stderr)
        if what is None and self.is_fatal_error(error):
            self.close()
            return
        delay, self.delay = self.delay, min(self.delay * 2, self.max_delay)
        sleep(delay)

    def do_handle(self, *what: Any) -> None:
        """Have one handled, in the way that ``spawn`` says."""
        run = self._run
        assert run is not None
        if self._spawn is None:
            run(*what)
        else:
            self._spawn(run, *what)

    def full(self) -> bool:
        """Whether as many handlers run as may."""
        return self.pool is not None and self.pool.full()

    def _wait_for_room(self) -> None:
        if self.pool is not None and self.pool.full():
            self.pool.wait_available()
        else:  # a subclass has its own idea of being full
            self._room.clear()
            if self.full():
                self._room.wait()

    def is_fatal_error(self, error: BaseException) -> bool:
        """Whether there is no listener any more, after this error."""
        return isinstance(error, OSError) and error.errno in self.fatal_errors

    # Its life.

    @property
    def started(self) -> bool:
        """Whether it was started and not stopped since."""
        return not self._stop_event.is_set()

    @property
    def closed(self) -> bool:
        """Whether it was stopped, or not started yet."""
        return self._stop_event.is_set()

    @property
    def server_host(self) -> str | None:
        """The host it listens at; None if its address has none."""
        return self.address[0] if isinstance(self.address, tuple) else None

    @property
    def server_port(self) -> int | None:
        """The port it listens at, from the start on if it was given 0; None if its address has none."""
        return self.address[1] if isinstance(self.address, tuple) else None

    def start(self) -> None:
        """Listen, and accept in a greenlet of its own.

        Raises:
            OSError: the address cannot be had.
            RuntimeError: it was stopped.
        """
        if self._ended:
            raise RuntimeError(f"{self} was stopped; make another one")
        self.init_socket()
        self._stop_event.clear()
        try:
            self.start_accepting()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Stop accepting and close the listener; what is being handled goes on."""
        self._ended = True
        self.stop_accepting()
        listener = self.__dict__.pop("socket", None)
        given, self._given = self._given, None
        if listener is not None:
            listener.close()
        if given is not None:
            given.detach()  # its descriptor was the listener's, and is closed
        self._stop_event.set()

    def stop(self, timeout: float | None = None) -> None:
        """Accept no more, and let the handlers in the pool end.

        Args:
            timeout: seconds that they have before they are killed; None is ``stop_timeout``. Without a
                pool they are left alone.
        """
        acceptor = self._acceptor
        self.close()
        if acceptor is not None and acceptor is not running():
            acceptor.join()
        if self.pool is not None:
            self.pool.join(timeout=self.stop_timeout if timeout is None else timeout)
            self.pool.kill(block=True, timeout=1)

    def serve_forever(self, stop_timeout: float | None = None) -> None:
        """Start, unless it was, and wait until it is stopped. Ends by stopping it, whatever ends it."""
        if not self.started:
            self.start()
        try:
            self._stop_event.wait()
        finally:
            # In a greenlet, because a second Ctrl-C should end the waiting and not the stopping.
            Greenlet.spawn(self.stop, timeout=stop_timeout).join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        host, port = self.server_host, self.server_port
        address = self.address if host is None else f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        return f"<{type(self).__name__} {address} {'started' if self.started else 'not started'}>"
