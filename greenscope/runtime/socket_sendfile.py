"""A part of the green socket: ``sendfile``.

The kernel copies from the file to the socket where it can (``os.sendfile``); where it cannot, because the
file is none of its own, it is read and sent in blocks. Reading a regular file can wait for the disk, and
that no kernel call avoids. Afterwards the file stands behind the last byte that was sent, whatever
happened.
"""

from __future__ import annotations

import io
import os
import socket as stdlib
from typing import IO, Any

from greenscope.runtime.socket_parts import SocketPart

__all__ = ["SendingFiles"]

# The methods' names and this exception are the standard library's, whose own tests use them.
_GiveupOnSendfile: type[Exception] = stdlib._GiveupOnSendfile  # type: ignore[attr-defined]
_sendfile = getattr(os, "sendfile", None)
_fstat = os.fstat
_MOST = 1 << 30  # a call's, of the kernel
_BLOCK = 8192


class SendingFiles(SocketPart):
    """Sending files."""

    __slots__ = ()

    def sendfile(self, file: IO[bytes], offset: int = 0, count: int | None = None) -> int:
        """Send what is in a file.

        Args:
            file: opened in binary mode.
            offset: where in the file to begin.
            count: bytes to send at most; None is up to its end.

        Returns:
            How many bytes were sent.

        Raises:
            ValueError: the file is text, ``count`` not positive, the socket not a stream or not to wait.
            TimeoutError: the socket could not be written for as long as its timeout.
        """
        try:
            return self._sendfile_use_sendfile(file, offset, count)
        except _GiveupOnSendfile:
            return self._sendfile_use_send(file, offset, count)

    def _sendfile_use_sendfile(self, file: IO[bytes], offset: int = 0, count: int | None = None) -> int:
        self._check_sendfile_params(file, offset, count)
        if _sendfile is None:
            raise _GiveupOnSendfile("this system has no sendfile")
        try:
            source = file.fileno()
            size = _fstat(source).st_size
        except (AttributeError, io.UnsupportedOperation, OSError) as error:
            raise _GiveupOnSendfile(error) from error  # not one the kernel knows
        if not size:
            return 0  # or it is not a regular file and we cannot tell; as the standard library
        total = 0
        try:
            while count is None or total < count:
                block = min(_MOST, size if count is None else count - total)
                try:
                    sent = _sendfile(self.fileno(), source, offset, block)
                except BlockingIOError:
                    self._wait(self._write or self._writer(), None, self.timeout)
                    continue
                except OSError as error:
                    if total == 0:
                        raise _GiveupOnSendfile(error) from error
                    raise
                if sent == 0:
                    break
                offset += sent
                total += sent
        finally:
            if total and hasattr(file, "seek"):
                file.seek(offset)
        return total

    def _sendfile_use_send(self, file: IO[bytes], offset: int = 0, count: int | None = None) -> int:
        self._check_sendfile_params(file, offset, count)
        if offset:
            file.seek(offset)
        total = 0
        try:
            while count is None or total < count:
                data = file.read(_BLOCK if count is None else min(_BLOCK, count - total))
                if not data:
                    break
                with memoryview(data) as view:
                    sent = 0
                    while sent < len(view):
                        more = self.send(view[sent:])
                        sent += more
                        total += more
        finally:
            if total and hasattr(file, "seek"):
                file.seek(offset + total)
        return total

    def _check_sendfile_params(self, file: Any, offset: int, count: Any) -> None:  # noqa: ARG002
        if "b" not in getattr(file, "mode", "b"):
            raise ValueError("file should be opened in binary mode: its bytes are what is sent")
        if not self._sock.type & stdlib.SOCK_STREAM:
            raise ValueError("only SOCK_STREAM type sockets are supported: sendfile cannot keep datagrams apart")
        if count is not None:
            if not isinstance(count, int):
                raise TypeError(f"count must be a positive integer (got {count!r})")
            if count <= 0:
                raise ValueError(f"count must be a positive integer (got {count!r})")
        if self.timeout == 0.0:
            raise ValueError("non-blocking sockets are not supported: sendfile has to wait")
