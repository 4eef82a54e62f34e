"""What ``open`` puts on top of a raw file, for one whose calls let other greenlets run.

Owns ``layers`` and the buffered files. They are the standard library's, with one thing added: its own
have a lock that knows threads and not greenlets, and raise RuntimeError when a second greenlet comes
while the first one waits inside. Here the second waits for its turn; and ``close`` does not, but ends the
waiting of whoever is inside.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any, TypeVar

from greenscope.runtime.rlock import RLock

__all__ = ["layers"]

F = TypeVar("F", bound=Callable[..., Any])


def _in_turn(method: F, turn: str = "_turn") -> F:
    """The method, for one greenlet at a time."""

    def in_turn(self: Any, *args: Any, **kwargs: Any) -> Any:
        with getattr(self, turn):
            return method(self, *args, **kwargs)

    in_turn.__name__ = method.__name__
    in_turn.__doc__ = method.__doc__
    return in_turn  # type: ignore[return-value]


def _closing(close: F, *turns: str) -> F:
    """``close``, which does not wait for a greenlet that is inside but closes the raw file under it."""

    def closing(self: Any) -> None:
        taken = []
        try:
            for turn in turns:
                if not getattr(self, turn).acquire(blocking=False):
                    self.raw.close()
                    return
                taken.append(turn)
            close(self)
        finally:
            for turn in taken:
                getattr(self, turn).release()

    closing.__doc__ = close.__doc__
    return closing  # type: ignore[return-value]


class BufferedReader(io.BufferedReader):
    """The standard library's, for several greenlets."""

    def __init__(self, raw: Any, buffer_size: int = io.DEFAULT_BUFFER_SIZE) -> None:
        self._turn = RLock()
        super().__init__(raw, buffer_size)

    peek = _in_turn(io.BufferedReader.peek)
    read = _in_turn(io.BufferedReader.read)
    read1 = _in_turn(io.BufferedReader.read1)
    readinto = _in_turn(io.BufferedReader.readinto)
    readinto1 = _in_turn(io.BufferedReader.readinto1)
    readline = _in_turn(io.BufferedReader.readline)
    close = _closing(io.BufferedReader.close, "_turn")


class BufferedWriter(io.BufferedWriter):
    """The standard library's, for several greenlets."""

    def __init__(self, raw: Any, buffer_size: int = io.DEFAULT_BUFFER_SIZE) -> None:
        self._turn = RLock()
        super().__init__(raw, buffer_size)

    write = _in_turn(io.BufferedWriter.write)
    flush = _in_turn(io.BufferedWriter.flush)
    close = _closing(io.BufferedWriter.close, "_turn")


class BufferedRandom(io.BufferedRandom):
    """The standard library's, for several greenlets."""

    def __init__(self, raw: Any, buffer_size: int = io.DEFAULT_BUFFER_SIZE) -> None:
        self._turn = RLock()
        super().__init__(raw, buffer_size)

    peek = _in_turn(io.BufferedRandom.peek)
    read = _in_turn(io.BufferedRandom.read)
    read1 = _in_turn(io.BufferedRandom.read1)
    readinto = _in_turn(io.BufferedRandom.readinto)
    readinto1 = _in_turn(io.BufferedRandom.readinto1)
    readline = _in_turn(io.BufferedRandom.readline)
    write = _in_turn(io.BufferedRandom.write)
    flush = _in_turn(io.BufferedRandom.flush)
    seek = _in_turn(io.BufferedRandom.seek)
    close = _closing(io.BufferedRandom.close, "_turn")


class BufferedRWPair(io.BufferedRWPair):
    """The standard library's, over one raw file that goes both ways, for several greenlets.

    Reading and writing do not wait for each other.
    """

    def __init__(self, raw: Any, buffer_size: int = io.DEFAULT_BUFFER_SIZE) -> None:
        self._reading = RLock()
        self._writing = RLock()
        self.raw = raw
        super().__init__(raw, raw, buffer_size)

    peek = _in_turn(io.BufferedRWPair.peek, "_reading")
    read = _in_turn(io.BufferedRWPair.read, "_reading")
    read1 = _in_turn(io.BufferedRWPair.read1, "_reading")
    readinto = _in_turn(io.BufferedRWPair.readinto, "_reading")
    readinto1 = _in_turn(io.BufferedRWPair.readinto1, "_reading")
    readline = _in_turn(io.BufferedRWPair.readline, "_reading")
    write = _in_turn(io.BufferedRWPair.write, "_writing")
    flush = _in_turn(io.BufferedRWPair.flush, "_writing")
    close = _closing(io.BufferedRWPair.close, "_reading", "_writing")

    def fileno(self) -> int:
        """The raw file's descriptor."""
        number: int = self.raw.fileno()
        return number


def layers(
    raw: Any,
    mode: str,
    buffering: int = -1,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
) -> Any:
    """Put on a raw file what ``open`` would.

    Args:
        raw: the raw file.
        mode: as ``open``'s: without ``b`` it is text.
        buffering: as ``open``'s: 0 is none, 1 is lines (of text), -1 the default; else bytes.
        encoding, errors, newline: of text.

    Returns:
        ``raw`` itself, or a buffered or a text file on top of it.
    """
    binary = "b" in mode
    if buffering == 0:
        if not binary:
            raise ValueError("a text file cannot be unbuffered; open it with a mode that has a b")
        return raw
    line_buffering = not binary and (buffering == 1 or (buffering < 0 and raw.isatty()))
    size = io.DEFAULT_BUFFER_SIZE if buffering < 0 or buffering == 1 else buffering
    buffered: Any
    if "+" in mode:
        buffered = BufferedRandom(raw, size) if raw.seekable() else BufferedRWPair(raw, size)
    else:
        buffered = BufferedWriter(raw, size) if raw.writable() else BufferedReader(raw, size)
    if binary:
        return buffered
    text: Any = io.TextIOWrapper(buffered, encoding, errors, newline, line_buffering)
    text.mode = mode
    return text
