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
from functools import partial
from os import PathLike
from types import TracebackType
from typing import Any, ClassVar, Self

from greenscope.runtime.fileio import GreenFileIO
from greenscope.runtime.layers import layers
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
        text: dict[str, Any] = {"encoding": encoding, "errors": errors, "newline": newline}
        if "b" in mode and any(value is not None for value in text.values()):
            raise ValueError("encoding, errors and newline are for text; the mode has a b")
        if "U" in mode:
            raise ValueError("mode U is of the past: newline=None, the default, reads every kind of line end")
        if size == 0 and "b" not in mode:
            raise ValueError("a text file cannot be unbuffered; open it with a mode that has a b")
        self._closed = False
        self.io: Any = self._open(fobj, mode, -1 if size is None else size, closing, text)

    def _open(self, fobj: Any, mode: str, buffering: int, closing: bool, text: dict[str, Any]) -> Any:
        raise NotImplementedError

    @property
    def closed(self) -> bool:
        """Whether it is closed."""
        return self._closed or self.io.closed

    def close(self) -> None:
        """Write what is buffered, and close it. Twice does no harm."""
        if not self._closed:
            self._closed = True
            self.io.close()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name in ("io", "_closed"):  # not made yet
            raise AttributeError(name)
        if self._closed and name not in ("name", "mode", "encoding", "errors", "newlines", "raw", "buffer"):
            raise ValueError(f"I/O operation on closed file: {name}")
        value = getattr(self.io, name)
        if callable(value):  # in FileObject(path).read() nothing else holds the file, and dropped it would be closed
            value = partial(value)
            value.file = self  # type: ignore[attr-defined]
        return value

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

    def __del__(self) -> None:
        if "io" in self.__dict__ and not self._closed:
            self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.io!r}{', closed' if self.closed else ''}>"


class FileObjectPosix(_FileObject):
    """A file whose reads and writes wait for its descriptor. A regular file is read and written directly."""

    def _open(self, fobj: Any, mode: str, buffering: int, closing: bool, text: dict[str, Any]) -> Any:
        kind = _binary(mode)
        owner = None
        if isinstance(fobj, str | bytes | PathLike):
            owner = io.FileIO(fobj, kind)
        elif not isinstance(fobj, int):
            owner = fobj
            if getattr(owner, "writable", bool)():
                owner.flush()
        raw = GreenFileIO(fobj if owner is None else owner.fileno(), kind, closing, owner)
        return layers(raw, mode, buffering, **text)


class FileObjectBlock(_FileObject):
    """A file that blocks the hub, with the interface of the others."""

    def _open(self, fobj: Any, mode: str, buffering: int, closing: bool, text: dict[str, Any]) -> Any:
        return _blocking(fobj, mode, buffering, closing, text)


class FileObjectThread(_FileObject):
    """A file whose methods run in native threads, while the hub goes on.

    Args:
        fobj, kwargs: as for all kinds.
        lock: whether to let one greenlet at a time use it.
        threadpool: a ``ThreadPool`` to use; None for the runtime's own threads.
    """

    def __init__(self, fobj: Any, *args: Any, lock: bool = True, threadpool: Any = None, **kwargs: Any) -> None:
        self._lock: AbstractContextManager[Any] = Lock() if lock else nullcontext()
        self._pool = threadpool
        super().__init__(fobj, *args, **kwargs)

    def _open(self, fobj: Any, mode: str, buffering: int, closing: bool, text: dict[str, Any]) -> Any:
        return _blocking(fobj, mode, buffering, closing, text)

    def close(self) -> None:
        """Write what is buffered, in a thread, and close it. Twice does no harm."""
        if not self._closed:
            self._closed = True
            self._in_thread(self.io.close)

    def __getattr__(self, name: str) -> Any:
        value = super().__getattr__(name)
        return partial(self._in_thread, value) if name in _SLOW else value

    def __del__(self) -> None:
        if "io" in self.__dict__ and not self._closed:  # nothing can wait here
            self._closed = True
            self.io.close()

    def _in_thread(self, method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        with self._lock:
            if self._pool is not None:
                return self._pool.spawn(method, *args, **kwargs).get()
            return run_in_thread(partial(method, *args, **kwargs))


FileObject = FileObjectPosix

_SLOW = {"flush", "peek", "read", "read1", "readall", "readinto", "readinto1", "readline", "readlines", "seek"}
_SLOW |= {"truncate", "write", "writelines"}


class _Borrowed:
    """Somebody else's file, which is left open."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def close(self) -> None:
        if self._file.writable():
            self._file.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def _blocking(fobj: Any, mode: str, buffering: int, closing: bool, text: dict[str, Any]) -> Any:
    if isinstance(fobj, str | bytes | PathLike):
        return open(fobj, mode, buffering, **text)
    if isinstance(fobj, int):
        return open(fobj, mode, buffering, **text, closefd=closing)
    return fobj if closing else _Borrowed(fobj)


def _binary(mode: str) -> str:
    """The mode of the raw file under a file of this mode."""
    kinds = mode.replace("b", "").replace("t", "")
    if kinds.replace("+", "") not in ("r", "w", "a", "x") or kinds.count("+") > 1:
        raise ValueError(f"a file's mode is one of r, w, a and x, with or without +, b and t; not {mode!r}")
    return f"{kinds[0]}b{'+' if '+' in kinds else ''}"


def _one_of(first: Any, second: Any, first_name: str, second_name: str) -> Any:
    if first is not None and second is not None:
        raise TypeError(f"{first_name} and {second_name} are one thing: give one of them")
    return second if first is None else first
