"""Files that let other greenlets run while they wait: gevent's ``FileObject`` and its kinds.

Owns the three kinds. ``FileObjectPosix`` waits for descriptors that something can wait for: pipes,
terminals, sockets. ``FileObjectThread`` does its work in native threads, which is what helps with regular
files on slow disks; they are always ready as far as the kernel is concerned. ``FileObjectBlock`` blocks,
and has the interface. ``FileObject`` is the first.

Each is a wrapper around a file of the standard library's ``io``, its ``io`` attribute, and has all that
one's methods. It is closed when it is dropped, and closes the descriptor unless ``closefd`` is false.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from os import PathLike
from types import TracebackType
from typing import Any, ClassVar, Self

from greenscope.runtime.fileio import GreenFileIO, layers
from greenscope.runtime.lock import Lock
from greenscope.runtime.threads import run_in_thread

__all__ = ["FileObject", "FileObjectBlock", "FileObjectPosix", "FileObjectThread"]


class _FileObject:
    """What all kinds have: how they are opened and closed, and the methods of the file they wrap.

    Args:
        fobj: a descriptor, a path, or an open file, which is then this one's and not to be used beside it.
        mode: as ``open``'s.
        bufsize, buffering: as ``open``'s ``buffering``; two names for one thing.
        close, closefd: whether closing this closes what was given; two names for one thing.
        encoding, errors, newline: of text, as ``open``'s.
        atomic_write: not available; accepted when false.

    Raises:
        TypeError: two names of one thing were used.
        ValueError: the mode is none, or does not go with the rest.
    """

    default_bufsize: ClassVar[int] = io.DEFAULT_BUFFER_SIZE

    def __init__(
        self,
        fobj: Any,
        mode: str = "r",
        bufsize: int | None = None,
        close: bool | None = None,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
        buffering: int | None = None,
        closefd: bool | None = None,
        atomic_write: bool = False,
    ) -> None:
        if atomic_write:
            raise ValueError("atomic_write is not available: write another file, and rename it")
        size = _one_of(bufsize, buffering, "bufsize", "buffering")
        closing = _one_of(close, closefd, "close", "closefd")
        closing = True if closing is None else bool(closing)
        text: dict[str, str | None] = {"encoding": encoding, "errors": errors, "newline": newline}
        if "b" in mode and any(value is not None for value in text.values()):
            raise ValueError("encoding, errors and newline are for text; the mode has a b")
        if "U" in mode:
            raise ValueError("mode U is of the past: newline=None, the default, reads every kind of line end")
        self._closing = closing
        self.io: Any = self._open(fobj, mode, -1 if size is None else size, text)

    def _open(self, fobj: Any, mode: str, buffering: int, text: dict[str, str | None]) -> Any:
        raise NotImplementedError

    def _call(self, method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """How methods of the file are called; here directly."""
        return method(*args, **kwargs)

    @property
    def closed(self) -> bool:
        """Whether it is closed."""
        return self.io is None or self.io.closed

    def close(self) -> None:
        """Write what is buffered, and close it. Twice does no harm."""
        file, self.io = self.io, None
        if file is not None:
            self._close(file)

    def _close(self, file: Any) -> None:
        if self._closing:
            file.close()
        elif file.writable():
            file.flush()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "io":
            raise AttributeError(name)
        file = self.io
        if file is None:
            if name in _AFTER_CLOSE:
                return _AFTER_CLOSE[name]
            raise ValueError(f"I/O operation on closed file: {name}")
        value = getattr(file, name)
        return _Method(self, value) if callable(value) else value

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        line = self.readline()
        if not line:
            raise StopIteration
        return line

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.io!r}>" if self.io is not None else f"<{type(self).__name__} closed>"
