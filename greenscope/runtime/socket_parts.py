"""What every part of the green socket may use of the others.

The class ``socket`` is long because the standard library's is, so it is written in parts, each a base of
it without state: ``socket_messages``, ``socket_connect``, ``socket_sendfile``, ``socket_options``. The
state, the waiting and the calls that have to be fast are in ``green_socket``. This module only declares
them, for the parts and for the type checker; it runs nothing.
"""

from __future__ import annotations

import _socket
from typing import TYPE_CHECKING, Any

from greenscope.runtime.watcher import IoWatcher

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

__all__ = ["SocketPart"]


class SocketPart:
    """The base of the parts."""

    __slots__ = ()

    if TYPE_CHECKING:
        _sock: _socket.socket
        _closed: bool
        _origin: Any
        _peer: Any
        _read: IoWatcher | None
        _write: IoWatcher | None
        timeout: float | None

        def _wait(
            self, watcher: IoWatcher, timeout_exc: BaseException | None = None, timeout: float | None = None
        ) -> None: ...
        def _reader(self) -> IoWatcher: ...
        def _writer(self) -> IoWatcher: ...
        def fileno(self) -> int: ...
        def send(self, data: ReadableBuffer, flags: int = 0) -> int: ...
