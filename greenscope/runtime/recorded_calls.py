"""Level ``io``: every call of a socket is recorded, with its bytes or its error.

Owns ``record_calls``, which each class of sockets is given to. Of calls within calls (``sendall`` sends) only
the outermost is recorded; but a TLS handshake is, though it be part of a ``connect``, because it is what takes
the time. Nothing of this runs below the level; see ``detail``.
"""

from __future__ import annotations

from _thread import _local
from collections.abc import Callable
from functools import wraps
from typing import Any

from greenscope.runtime.detail import from_level
from greenscope.trace.events import Detail, Op
from greenscope.trace.here import here
from greenscope.trace.socket_calls import CALLS, Call, errno_of

__all__ = ["record_accepts", "record_calls"]


class _Calling(_local):
    """The handles of this thread's greenlets that are in a call."""

    def __init__(self) -> None:
        self.handles: set[int] = set()


_calling = _Calling()


def record_calls(cls: type, base: type | None = None) -> None:
    """Have the calls of this class of sockets recorded at level ``io`` and above.

    Args:
        cls: it.
        base: what it inherits from whose calls are recorded already.
    """
    for name, call in CALLS.items():
        function = getattr(cls, name, None)
        if function is not None and (base is None or name in vars(cls)):
            from_level(Detail.IO, cls, name, _recorded(function, name, call))


def record_accepts(cls: type) -> None:
    """Have what this class of servers accepts recorded: ``do_read``, which never waits, and is a call if it got one."""
    function: Callable[..., Any] = vars(cls)["do_read"]

    @wraps(function)
    def recorded(self: Any) -> Any:
        accepted = function(self)
        recorder = here.recorder
        if accepted is not None and recorder is not None:
            recorder.op_begin(Op.ACCEPT, 0, 0, self.socket.fileno())
            recorder.op_end(Op.ACCEPT, 0, accepted[0].fileno(), b"")
        return accepted

    from_level(Detail.IO, cls, "do_read", recorded)


def _recorded(function: Callable[..., Any], name: str, call: Call) -> Callable[..., Any]:
    op, reads, counted = call
    is_handshake = op == Op.HANDSHAKE
    gives_errno = name == "connect_ex"

    @wraps(function)
    def recorded(self: Any, *arguments: Any, **keywords: Any) -> Any:
        recorder = here.recorder
        if recorder is None or recorder.detail < Detail.IO:
            return function(self, *arguments, **keywords)
        handle, handles = recorder.current, _calling.handles
        if handle in handles and not is_handshake:
            return function(self, *arguments, **keywords)
        watcher = self._read if reads else self._write
        tls = getattr(self, "_sslobj", None) is not None
        recorder.op_begin(op, tls, watcher.resource if watcher is not None else 0, self._sock.fileno())
        outermost = handle not in handles
        handles.add(handle)
        try:
            result = function(self, *arguments, **keywords)
        except BaseException as error:
            recorder.op_end(op, errno_of(error), 0, type(error).__name__.encode())
            raise
        finally:
            if outermost:
                handles.discard(handle)
        if gives_errno:
            recorder.op_end(op, result, 0, b"")
        else:
            recorder.op_end(op, 0, counted(result, arguments), b"")
        return result

    return recorded
