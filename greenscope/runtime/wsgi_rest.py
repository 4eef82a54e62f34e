"""What comes on a connection after a request that asked for another protocol: WebSocket, mostly.

Owns ``rest_of``, the handler's ``rfile``. The parser stops behind such a request, so what it was fed of the other
protocol is still there and comes first; then the socket is read.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from greenscope.runtime.layers import BufferedReader

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = ["rest_of"]


class _Rest(io.RawIOBase):
    def __init__(self, begun: bytes, sock: Any) -> None:
        super().__init__()
        self._begun = begun
        self._socket = sock

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        if self._begun:
            with memoryview(buffer) as view, view.cast("B") as bytes_of_it:
                size = min(len(bytes_of_it), len(self._begun))
                bytes_of_it[:size] = self._begun[:size]
            self._begun = self._begun[size:]
            return size
        received: int = self._socket.recv_into(buffer)
        return received


def rest_of(begun: bytes, sock: Any) -> BufferedReader:
    """A file of what was received already, and of what a socket receives from now on; it does not close that."""
    return BufferedReader(_Rest(begun, sock))
