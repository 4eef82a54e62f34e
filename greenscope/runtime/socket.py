"""The standard library's ``socket`` module, green: the same names, and calls that do not block the hub.

Owns the functions that make sockets and those that wait for a descriptor; the class is in
``green_socket``, look-ups in ``resolve``. All else, constants, exceptions and functions that never wait, is
the standard library's own, so that this module can stand in for it. ``__implements__`` lists what is ours.

A program may put a class or a resolver of its own into the standard library's module (a SOCKS proxy, a
table of hosts). Under monkey patching the functions here heed that, as the standard library's do.
"""

from __future__ import annotations

import _socket
import os
import socket as _stdlib
import types
from typing import TYPE_CHECKING, Any

from greenscope.runtime.current import current
from greenscope.runtime.green_socket import socket
from greenscope.runtime.resolve import (
    getaddrinfo,
    getfqdn,
    gethostbyaddr,
    gethostbyname,
    gethostbyname_ex,
    getnameinfo,
    interleaved,
)
from greenscope.runtime.socket_waiting import (
    cancel_wait,
    cancel_wait_ex,
    timeout_default,
    wait,
    wait_on_socket,
    wait_read,
    wait_readwrite,
    wait_write,
)

__all__ = [
    "SocketType",
    "cancel_wait",
    "cancel_wait_ex",
    "close",
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
    "timeout_default",
    "wait",
    "wait_on_socket",
    "wait_read",
    "wait_readwrite",
    "wait_write",
]
__implements__ = [
    "SocketType",
    "close",
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
__extensions__ = [
    "cancel_wait",
    "cancel_wait_ex",
    "timeout_default",
    "wait",
    "wait_on_socket",
    "wait_read",
    "wait_readwrite",
    "wait_write",
]

SocketType = socket

_GLOBAL_DEFAULT_TIMEOUT = _stdlib._GLOBAL_DEFAULT_TIMEOUT  # type: ignore[attr-defined]
_SO_REUSEPORT = getattr(_stdlib, "SO_REUSEPORT", None)
_original_getaddrinfo = _stdlib.getaddrinfo
_has_dualstack_ipv6 = _stdlib.has_dualstack_ipv6
_close = _socket.close
_NONBLOCK = getattr(_stdlib, "SOCK_NONBLOCK", 0)

for _name, _value in vars(_stdlib).items():
    if _name not in globals() and not _name.startswith("__") and not isinstance(_value, types.ModuleType):
        globals()[_name] = _value
        if _name in _stdlib.__all__:
            __all__.append(_name)  # noqa: PYI056  (for the run time; a checker has __getattr__ below)

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any: ...


def create_connection(
    address: tuple[str | None, int],
    timeout: float | object | None = _GLOBAL_DEFAULT_TIMEOUT,
    source_address: tuple[str, int] | None = None,
    *,
    all_errors: bool = False,
) -> socket:
    """A connection to the first address of a host that accepts one.

    They are tried one after the other, the families in turn (RFC 8305, section 4): a host whose IPv6 is
    out of order costs one attempt, not as many as it has IPv6 addresses.

    Args:
        address: host name or address, and port.
        timeout: seconds for each attempt, and of the socket afterwards; without it, the default timeout.
        source_address: where to connect from.
        all_errors: raise what every address failed with, as a group.

    Raises:
        gaierror: there is no such host.
        OSError: none accepted; what the last one said.
        ExceptionGroup: with ``all_errors``.
    """
    host, port = address
    errors: list[Exception] = []
    lookup = getaddrinfo if _stdlib.getaddrinfo is _original_getaddrinfo else _stdlib.getaddrinfo
    for family, kind, proto, _canonical, target in interleaved(lookup(host, port, 0, _stdlib.SOCK_STREAM)):
        new: socket | None = None
        try:
            new = _class()(family, kind, proto)
            if timeout is not _GLOBAL_DEFAULT_TIMEOUT and timeout is not timeout_default:
                new.settimeout(timeout)  # type: ignore[arg-type]
            if source_address:
                new.bind(source_address)
            new.connect(target)
        except OSError as error:
            if not all_errors:
                errors.clear()  # the last one's
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
            raise OSError(f"getaddrinfo returns an empty list: the name service knows no address of {host!r}")
        if all_errors:
            raise ExceptionGroup("create_connection failed", errors)
        raise errors[0]
    finally:
        errors.clear()  # their tracebacks lead back to here


def create_server(
    address: tuple[str, int] | str,
    *,
    family: int = _stdlib.AF_INET,
    backlog: int | None = None,
    reuse_port: bool = False,
    dualstack_ipv6: bool = False,
) -> socket:
    """A socket that listens.

    Args:
        address: host, where "" is every address of this machine, and port.
        family: AF_INET or AF_INET6.
        backlog: how many connections the kernel keeps for us; None is a reasonable number.
        reuse_port: whether several sockets may listen at the same port.
        dualstack_ipv6: whether it also takes IPv4 connections.

    Raises:
        ValueError: this system, or this family, cannot do that.
        OSError: the address cannot be had; the message names it.
    """
    if reuse_port and _SO_REUSEPORT is None:
        raise ValueError("SO_REUSEPORT not supported on this platform: leave reuse_port out")
    if dualstack_ipv6:
        if not _has_dualstack_ipv6():
            raise ValueError("dualstack_ipv6 not supported on this platform: listen on two sockets")
        if family != _stdlib.AF_INET6:
            raise ValueError(f"dualstack_ipv6 requires AF_INET6 family, not {family!r}")
    new = _class()(family, _stdlib.SOCK_STREAM)
    try:
        if os.name not in {"nt", "cygwin"}:  # there it would mean something else
            new.setsockopt(_stdlib.SOL_SOCKET, _stdlib.SO_REUSEADDR, 1)
        if reuse_port:
            new.setsockopt(_stdlib.SOL_SOCKET, _SO_REUSEPORT, 1)
        if _stdlib.has_ipv6 and family == _stdlib.AF_INET6:
            new.setsockopt(_stdlib.IPPROTO_IPV6, _stdlib.IPV6_V6ONLY, 0 if dualstack_ipv6 else 1)
        try:
            new.bind(address)
        except OSError as error:
            raise type(error)(
                error.errno, f"{error.strerror} (while attempting to bind on address {address!r})"
            ) from None
        if backlog is None:
            new.listen()
        else:
            new.listen(backlog)
    except BaseException:
        new.close()
        raise
    return new


def fromfd(fd: int, family: int, type: int, proto: int = 0) -> socket:  # noqa: A002
    """A socket for a duplicate of a descriptor."""
    return _class()(family, type, proto, _socket.dup(fd))


def socketpair(
    family: int | None = None,
    type: int = _stdlib.SOCK_STREAM,  # noqa: A002
    proto: int = 0,
) -> tuple[socket, socket]:
    """Two sockets that are connected to each other."""
    pair = _socket.socketpair(_stdlib.AF_UNIX if family is None else family, type, proto)
    cls = _class()
    one, other = (cls(each.family, each.type, each.proto, each.detach()) for each in pair)
    if type & _NONBLOCK:
        one.timeout = other.timeout = 0.0
    return one, other


def close(fd: int) -> None:
    """Close a descriptor, after the loop has let go of it."""
    hub = current.hub
    if hub is not None and not hub.loop.closed and isinstance(fd, int):
        hub.loop.closing_fd(fd)
    _close(fd)


def _class() -> type[socket]:
    """What to make sockets of: the program's own class, if it is one of ours."""
    wanted: Any = _stdlib.socket
    return wanted if isinstance(wanted, type) and issubclass(wanted, socket) else socket
