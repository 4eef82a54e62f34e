"""The standard library's ``socket`` module, green: the same names, and calls that do not block the hub.

Owns the functions that make sockets; the class is in ``green_socket``, look-ups in ``resolve``. All
else, constants, exceptions and functions that never wait, is the standard library's own, so that this
module can stand in for it.
"""

from __future__ import annotations

import _socket
import socket as _stdlib
from typing import TYPE_CHECKING, Any

from greenscope.runtime.green_socket import socket
from greenscope.runtime.resolve import (
    getaddrinfo,
    getfqdn,
    gethostbyaddr,
    gethostbyname,
    gethostbyname_ex,
    getnameinfo,
)

__all__ = [
    "create_connection",
    "create_server",
    "fromfd",
    "getaddrinfo",
    "getfqdn",
    "gethostbyaddr",
    "gethostbyname",
    "gethostbyname_ex",
    "getnameinfo",
    "socket",
    "socketpair",
]
_DEFAULT_TIMEOUT = object()

SocketType = socket

for _name in vars(_stdlib):
    if _name not in globals() and (_name in _stdlib.__all__ or _name in {"AddressFamily", "SocketKind", "SocketIO"}):
        globals()[_name] = getattr(_stdlib, _name)
        __all__.append(_name)  # noqa: PYI056  (for the run time; a checker has __getattr__ below)

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any: ...


def create_connection(
    address: tuple[str | None, int],
    timeout: float | object | None = _DEFAULT_TIMEOUT,
    source_address: tuple[str, int] | None = None,
    *,
    all_errors: bool = False,
) -> socket:
    """A connection to the first address of a host that accepts one.

    Args:
        address: host name or address, and port.
        timeout: seconds for each attempt, and of the socket afterwards.
        source_address: where to connect from.
        all_errors: raise what every address failed with, as a group.

    Raises:
        OSError: none accepted.
    """
    host, port = address
    errors: list[Exception] = []
    for family, kind, proto, _name, target in getaddrinfo(host, port, 0, _stdlib.SOCK_STREAM):
        new: socket | None = None
        try:
            new = socket(family, kind, proto)
            if timeout is not _DEFAULT_TIMEOUT:
                new.settimeout(timeout)  # type: ignore[arg-type]
            if source_address:
                new.bind(source_address)
            new.connect(target)
        except OSError as error:
            errors.append(error)
            if new is not None:
                new.close()
        except BaseException:
            if new is not None:
                new.close()
            raise
        else:
            errors.clear()
            return new
    try:
        if not errors:
            raise OSError(f"the name service knows no address of {host!r}")
        if all_errors:
            raise ExceptionGroup(f"no address of {host!r} accepted a connection", errors)
        raise errors[0]
    finally:
        errors.clear()


def create_server(
    address: tuple[str, int] | str,
    *,
    family: int = _stdlib.AF_INET,
    backlog: int | None = None,
    reuse_port: bool = False,
    dualstack_ipv6: bool = False,
) -> socket:
    """A listening socket; as the standard library's."""
    made = _stdlib.create_server(
        address, family=family, backlog=backlog, reuse_port=reuse_port, dualstack_ipv6=dualstack_ipv6
    )
    return socket(made.family, made.type, made.proto, made.detach())


def fromfd(fd: int, family: int, type: int, proto: int = 0) -> socket:  # noqa: A002
    """A socket for a duplicate of a descriptor."""
    return socket(family, type, proto, _socket.dup(fd))


def socketpair(
    family: int | None = None,
    type: int = _stdlib.SOCK_STREAM,  # noqa: A002
    proto: int = 0,
) -> tuple[socket, socket]:
    """Two sockets that are connected to each other."""
    one, other = _socket.socketpair(_stdlib.AF_UNIX if family is None else family, type, proto)
    return socket._around(one), socket._around(other)
