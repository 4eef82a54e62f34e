"""The calls of sockets that are recorded at level ``io``: which there are, and what the end of one says.

The runtime's sockets and gevent's have the same methods, the standard library's. Owns ``CALLS`` and ``errno_of``;
who puts them around the methods of a class knows how its sockets are made.
"""

from __future__ import annotations

from _socket import gaierror, herror
from collections.abc import Callable
from typing import Any, NamedTuple

from greenscope.trace.events import NO_ERRNO, Op

__all__ = ["CALLS", "Call", "errno_of"]


class Call(NamedTuple):
    """One: its number, whether it waits to read, and its end."""

    op: Op
    reads: bool
    counted: Callable[[Any, tuple[Any, ...]], int]
    """Of what it returned and its arguments: what op_end says."""


def _nothing(_result: Any, _arguments: tuple[Any, ...]) -> int:
    return 0


def _itself(result: Any, _arguments: tuple[Any, ...]) -> int:
    return int(result)


def _first(result: Any, _arguments: tuple[Any, ...]) -> int:
    return int(result[0])


def _length(result: Any, _arguments: tuple[Any, ...]) -> int:
    return len(result)


def _first_length(result: Any, _arguments: tuple[Any, ...]) -> int:
    return len(result[0])


def _all(_result: Any, arguments: tuple[Any, ...]) -> int:
    return memoryview(arguments[0]).nbytes if arguments else 0


def _descriptor(result: Any, _arguments: tuple[Any, ...]) -> int:
    return int(result[0].fileno())


CALLS: dict[str, Call] = {
    "connect": Call(Op.CONNECT, False, _nothing),
    "connect_ex": Call(Op.CONNECT, False, _nothing),
    "accept": Call(Op.ACCEPT, True, _descriptor),
    "recv": Call(Op.RECV, True, _length),
    "recv_into": Call(Op.RECV_INTO, True, _itself),
    "recvfrom": Call(Op.RECVFROM, True, _first_length),
    "recvfrom_into": Call(Op.RECVFROM_INTO, True, _first),
    "recvmsg": Call(Op.RECVMSG, True, _first_length),
    "recvmsg_into": Call(Op.RECVMSG_INTO, True, _first),
    "send": Call(Op.SEND, False, _itself),
    "sendall": Call(Op.SENDALL, False, _all),
    "sendto": Call(Op.SENDTO, False, _itself),
    "sendmsg": Call(Op.SENDMSG, False, _itself),
    "sendfile": Call(Op.SENDFILE, False, _itself),
    "read": Call(Op.RECV, True, lambda result, _: result if isinstance(result, int) else len(result)),
    "write": Call(Op.SEND, False, _itself),
    "do_handshake": Call(Op.HANDSHAKE, True, _nothing),
    "unwrap": Call(Op.UNWRAP, True, _nothing),
}


def errno_of(error: BaseException) -> int:
    """The errno of an exception; not what OpenSSL and the resolver call so."""
    number = getattr(error, "errno", None)
    if not isinstance(number, int) or isinstance(error, (gaierror, herror)) or type(error).__module__ == "ssl":
        return NO_ERRNO
    return number if 0 < number < NO_ERRNO else NO_ERRNO
