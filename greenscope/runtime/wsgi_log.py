"""Where the WSGI server writes: what its ``log`` and ``error_log`` arguments mean; and its file wrapper.

Owns ``LoggingLogAdapter``, which makes a file of a logger, and ``FileWrapper``.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable, Iterator
from typing import Any

__all__ = ["FileWrapper", "LoggingLogAdapter", "log_of"]


class LoggingLogAdapter:
    """A logger as a file: each line that is written is a record.

    Args:
        logger: where to; what it has and a file has not is had through this.
        level: of the records.
    """

    __slots__ = ("_level", "_logger")

    def __init__(self, logger: logging.Logger, level: int = logging.INFO) -> None:
        self._logger = logger
        self._level = level

    def write(self, text: str) -> None:
        """Log some lines; nothing if they are empty."""
        text = text.rstrip()
        if text:
            self._logger.log(self._level, "%s", text)

    def flush(self) -> None:
        """A logger keeps nothing back."""

    def writelines(self, lines: Iterable[str]) -> None:
        """Log each."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._logger, name)


class _Nowhere:
    """A file that forgets."""

    def write(self, text: str) -> None:
        pass

    def flush(self) -> None:
        pass

    def writelines(self, lines: Iterable[str]) -> None:
        pass


class FileWrapper:
    """A file's content in blocks, as an iterable: the environ's ``wsgi.file_wrapper``.

    Args:
        filelike: the file; closed when the answer is done.
        blksize: bytes a block.
    """

    def __init__(self, filelike: Any, blksize: int = 65536) -> None:
        self.filelike = filelike
        self.blksize = blksize
        if hasattr(filelike, "close"):
            self.close = filelike.close

    def __iter__(self) -> Iterator[bytes]:
        return iter(lambda: self.filelike.read(self.blksize), b"")


def log_of(log: Any, level: str, nowhere: bool = False) -> Any:
    """What is written to, for an argument.

    Args:
        log: a file, a logger, "default" for stderr, or None.
        level: a logger's.
        nowhere: whether None becomes a file that forgets.

    Raises:
        TypeError: it is something else.
    """
    if log == "default":
        log = sys.stderr
    if log is None:
        return _Nowhere() if nowhere else None
    if isinstance(log, logging.Logger):
        return LoggingLogAdapter(log, logging.getLevelNamesMapping()[level])
    if not hasattr(log, "write"):
        raise TypeError(f'a log is a file, a logging.Logger, "default" or None; not {log!r}')
    return log
