"""Files of a green socket: what ``makefile`` gives.

The raw file is the standard library's ``SocketIO``, which asks of its socket no more than ``recv_into``,
``send``, ``fileno``, and to be told when it is closed.
"""

from __future__ import annotations

import io
import socket as stdlib
from typing import Any

__all__ = ["file_of"]

_SocketIO: Any = stdlib.SocketIO


def file_of(sock: Any, mode: str, buffering: int | None, **text: Any) -> Any:
    """A file of a socket; the arguments are ``open``'s, for modes of r, w and b alone."""
    if not set(mode) <= {"r", "w", "b"}:
        raise ValueError(f"invalid mode {mode!r} (only r, w, b allowed)")
    writing = "w" in mode
    reading = "r" in mode or not writing
    if buffering == 0 and "b" not in mode:
        raise ValueError("unbuffered streams must be binary")
    raw = _SocketIO(sock, ("r" if reading else "") + ("w" if writing else ""))
    sock._io_refs += 1
    if buffering == 0:
        return raw
    size = io.DEFAULT_BUFFER_SIZE if buffering is None or buffering < 0 else buffering
    file: Any
    if reading and writing:
        file = io.BufferedRWPair(raw, raw, size)
    else:
        file = io.BufferedReader(raw, size) if reading else io.BufferedWriter(raw, size)
    if "b" in mode:
        return file
    text["encoding"] = io.text_encoding(text["encoding"])
    wrapped: Any = io.TextIOWrapper(file, **text)
    wrapped.mode = mode
    return wrapped
