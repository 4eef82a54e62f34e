"""What a test leaves behind: greenlets, sockets, watchers and timeouts, each with the line that made it.

Owns ``Leaks``. The classes' constructors are wrapped, for as long as pytest runs with ``--greenscope-leaks``: the
objects know best whether they are still there, and a line is had where they are made. What the test's
own greenlets make is the test's; what is made while a fixture of a module or a session is set up is not, nor what
the greenlets of such a fixture make. Before it is said that something was left, the hub has a moment in which others
can come to their end, as a server's handler does when its client has gone.
"""

from __future__ import annotations

import functools
import gc
import os
import sys
from _thread import get_ident
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any
from weakref import WeakSet, ref

from greenscope.runtime.current import current
from greenscope.runtime.green_socket import socket
from greenscope.runtime.greenlet import Greenlet
from greenscope.runtime.hub import sleep
from greenscope.runtime.parked import line_of, name_of
from greenscope.runtime.raw_greenlet import RawGreenlet
from greenscope.runtime.timeout import SocketTimeout, Timeout
from greenscope.runtime.waiter import running
from greenscope.runtime.watcher import Watcher

__all__ = ["Leaks"]

_OURS = f"{Path(__file__).resolve().parents[1]}{os.sep}"
_STANDARD = f"{Path(os.__file__).resolve().parent}{os.sep}"
_SITE = f"{os.sep}site-packages{os.sep}"
_PYTEST = (f"{_SITE}_pytest{os.sep}", f"{_SITE}pluggy{os.sep}")
_MAKERS = (__file__, *(f"{_OURS}runtime{os.sep}{name}.py" for name in ("loop", "watcher", "watchers")))
_TRIES, _MOMENT = 12, 0.02

Wrapped = tuple[type, str, Any]


class Leaks:
    """Knows what was made since the test began."""

    def __init__(self) -> None:
        self._on = False
        self._paused = 0
        self._thread = get_ident()
        self._mine: WeakSet[Any] = WeakSet()
        self._made: list[tuple[Callable[[], str | None], str]] = []
        self._timeouts: list[Timeout] = []
        self._late: list[Timeout] = []
        self._undo: list[Wrapped] = []
        self._wrap(Greenlet, "__init__", self._greenlet_made)
        self._wrap(RawGreenlet, "__init__", self._greenlet_made)
        self._wrap(socket, "_setup", self._socket_made)
        self._wrap(Watcher, "__init__", self._watcher_made)
        self._wrap(Timeout, "start", self._timeout_made)

    def begin(self) -> None:
        """A test begins."""
        self._made.clear()
        self._mine.clear()
        self._timeouts.clear()
        self._on = True

    def end(self) -> None:
        """There are no more tests."""
        self._on = False
        for owner, name, original in self._undo:
            if original is None:
                delattr(owner, name)
            else:
                setattr(owner, name, original)

    @contextmanager
    def not_of_the_test(self) -> Iterator[None]:
        """What is made meanwhile may stay."""
        self._paused += 1
        try:
            yield
        finally:
            self._paused -= 1

    def left(self) -> list[str]:
        """A line for each thing that is still there, after a moment in which others may end."""
        self._on = False
        made, self._made = self._made, []
        timeouts, self._timeouts = self._timeouts, []
        self._late = [timeout for timeout in timeouts if timeout.pending]
        for timeout in self._late:
            timeout.cancel()  # it would be raised in another test
        lines = self._lines(made)
        for attempt in range(_TRIES):
            if not lines or current.hub is None:
                break
            if attempt == 0:
                gc.collect()  # what is only in a cycle is not left behind
            sleep(_MOMENT if attempt else 0)
            lines = self._lines(made)
        return lines

    @staticmethod
    def _lines(made: list[tuple[Callable[[], str | None], str]]) -> list[str]:
        return [f"{what}, made at {line}" for there, line in made if (what := there()) is not None]

    # What was made.

    def _wrap(self, owner: type, name: str, made: Callable[[Any], None]) -> None:
        self._undo.append((owner, name, owner.__dict__.get(name)))
        original: Any = getattr(owner, name)

        @functools.wraps(original)
        def wrapper(this: Any, *arguments: Any, **keywords: Any) -> Any:
            result = original(this, *arguments, **keywords)
            if self._on and not self._paused and get_ident() == self._thread and self._is_the_tests():
                made(this)
            return result

        setattr(owner, name, wrapper)

    def _is_the_tests(self) -> bool:
        me = running()
        return me.parent is None or me is current.hub or me in self._mine

    def _greenlet_made(self, made: Any) -> None:
        self._mine.add(made)
        known = ref(made)

        def there() -> str | None:
            target = known()
            if target is None or target.dead or not _begun(target):
                return None
            state = getattr(target, "_state", None)
            entry = state.waiting_on if state is not None else None
            waits = f", which waits for {entry.describe()}{line_of(target)}" if entry is not None else ""
            return f"greenlet {name_of(target)}{waits}"

        self._made.append((there, _line()))

    def _socket_made(self, made: socket) -> None:
        known = ref(made)

        def there() -> str | None:
            target = known()
            if target is None or target.fileno() < 0:
                return None
            return f"socket on fd {target.fileno()}{_address(target)}"

        self._made.append((there, _line()))

    def _watcher_made(self, made: Watcher) -> None:
        line = _line(direct=True)
        if line:  # else it is a socket's, or another part's of the runtime
            self._made.append(
                (lambda: f"watcher of {made.describe()}" if made.active and made.callback is not None else None, line)
            )

    def _timeout_made(self, made: Timeout) -> None:
        if isinstance(made, SocketTimeout) or running().parent is not None:  # a greenlet takes its own with it
            return

        self._timeouts.append(made)
        words = f"timeout of {made}, which was not cancelled"
        self._made.append((lambda: words if made.pending or made in self._late else None, _line()))


def _begun(target: Any) -> bool:
    """Whether a greenlet was started: one that never was is an object like any other."""
    return bool(target) or bool(getattr(target, "started", getattr(target, "_state", None) is not None))


def _address(sock: socket) -> str:
    for name, words in (("getpeername", "connected to"), ("getsockname", "at")):
        try:
            address = getattr(sock, name)()
        except OSError:
            continue
        if address:
            text = ":".join(map(str, address[:2])) if isinstance(address, tuple) else str(address)
            return f" {words} {text}"
    return ""


def _line(direct: bool = False) -> str:
    """Where something is being made: the program's line, and the test's if that is another.

    Args:
        direct: nothing, unless that line called our loop itself.
    """
    frame: FrameType | None = sys._getframe(2)
    if direct:
        while frame is not None and frame.f_code.co_filename in _MAKERS:
            frame = frame.f_back
        if frame is not None and frame.f_code.co_filename.startswith(_OURS):
            return ""
    first = ""
    while frame is not None:
        file = frame.f_code.co_filename
        if not file.startswith(_OURS) and (_SITE in file or not file.startswith(_STANDARD)):
            if any(part in file for part in _PYTEST):
                break
            here = f"{file}:{frame.f_lineno} in {frame.f_code.co_name}"
            is_test = Path(file).name.startswith("test_")
            if is_test and first:
                return f"{first}, called at {here}"
            first = first or here
            if is_test:
                break
        frame = frame.f_back
    return first or "a line that is not the program's"
