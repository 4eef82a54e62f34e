"""Names and addresses: look-ups that do not block the hub, and addresses written for people.

Owns the green ``getaddrinfo`` and its kind. What needs no look-up, a numeric address with a numeric
port, is answered at once; everything else goes to a thread, because the system's resolver knows no other
way, and the greenlet parks until it is back. So a look-up can be killed, and time out, and ends by itself
in its thread. Results, flags and errors are the standard library's own, because its own functions are what
the thread calls.
"""

from __future__ import annotations

import socket as stdlib
from _socket import SOCK_STREAM
from _socket import socket as _raw_socket
from itertools import zip_longest
from typing import Any

from greenscope.runtime.threads import look_up

__all__ = [
    "format_address",
    "getaddrinfo",
    "getfqdn",
    "gethostbyaddr",
    "gethostbyname",
    "gethostbyname_ex",
    "getnameinfo",
    "interleaved",
    "is_numeric",
    "peer_of",
    "resolve",
]

AddressInfo = Any  # (family, kind, protocol, canonical name, address)

# The originals: what is in the module later may be what is here.
_getaddrinfo = stdlib.getaddrinfo
_gethostbyaddr = stdlib.gethostbyaddr
_gethostbyname = stdlib.gethostbyname
_gethostbyname_ex = stdlib.gethostbyname_ex
_gethostname = stdlib.gethostname
_getnameinfo = stdlib.getnameinfo
_inet_pton = stdlib.inet_pton

_NONBLOCK = getattr(stdlib, "SOCK_NONBLOCK", 0)  # macOS has none
_INTERNET = (stdlib.AF_INET, stdlib.AF_INET6)
_NUMERIC_NAMES = stdlib.NI_NUMERICHOST | stdlib.NI_NUMERICSERV
_NO_NAMES = {"", "0.0.0.0", "::"}  # noqa: S104  (compared with, not bound to)


def getaddrinfo(
    host: str | bytes | None,
    port: Any,
    family: int = 0,
    type: int = 0,  # noqa: A002  (the standard library's name)
    proto: int = 0,
    flags: int = 0,
) -> list[AddressInfo]:
    """The addresses of a host and service; as the standard library's."""
    plain_port = port is None or isinstance(port, int) or (isinstance(port, str | bytes) and port.isdigit())
    if plain_port and (not host or is_numeric(host)):
        return list(_getaddrinfo(host, port, family, type, proto, flags))
    found: list[AddressInfo] = look_up(_getaddrinfo, host, port, family, type, proto, flags)
    return found


def gethostbyname(hostname: str) -> str:
    """The IPv4 address of a host; as the standard library's."""
    if is_numeric(hostname) or hostname in {"", "<broadcast>"}:
        return _gethostbyname(hostname)
    return look_up(_gethostbyname, hostname)


def gethostbyname_ex(hostname: str) -> tuple[str, list[str], list[str]]:
    """The name, aliases and IPv4 addresses of a host; as the standard library's."""
    return look_up(_gethostbyname_ex, hostname)


def gethostbyaddr(ip_address: str) -> tuple[str, list[str], list[str]]:
    """The name, aliases and addresses of an address; as the standard library's."""
    return look_up(_gethostbyaddr, ip_address)


def getnameinfo(sockaddr: Any, flags: int) -> tuple[str, str]:
    """The host and service of an address; as the standard library's."""
    if isinstance(sockaddr, tuple) and not (
        flags & _NUMERIC_NAMES == _NUMERIC_NAMES and bool(sockaddr) and is_numeric(sockaddr[0])
    ):
        return look_up(_getnameinfo, sockaddr, flags)
    try:  # needs no look-up; or is no address at all, and refused at once
        return _getnameinfo(sockaddr, flags)
    finally:
        del sockaddr  # else the error's traceback would keep it, which C's does not


def getfqdn(name: str = "") -> str:
    """The full name of a host: of its names, the first with a dot in it; or the name itself.

    Without a name, or with that of all addresses, this host's.
    """
    name = name.strip()
    if name in _NO_NAMES:
        name = _gethostname()
    try:
        hostname, aliases, _ = gethostbyaddr(name)
    except OSError:
        return name
    for each in (hostname, *aliases):
        if "." in each:
            return each
    return hostname


def interleaved(found: list[AddressInfo]) -> list[AddressInfo]:
    """Addresses in the order to try them: the resolver's, but the families in turn (RFC 8305, section 4).

    A host with two IPv6 addresses and two IPv4 ones, in this order, is tried at 6, 4, 6, 4. Within a
    family the resolver's order, which is RFC 6724's, stays.
    """
    families: dict[int, list[AddressInfo]] = {}
    for info in found:
        families.setdefault(info[0], []).append(info)
    if len(families) < 2:
        return found
    turns = zip_longest(*families.values())
    return [info for turn in turns for info in turn if info is not None]


def is_numeric(host: object) -> bool:
    """Whether a host is an address already."""
    if isinstance(host, bytes | bytearray):
        host = host.decode("latin-1")
    if not isinstance(host, str):
        return False
    for family in _INTERNET:
        try:
            _inet_pton(family, host.partition("%")[0])
        except (OSError, ValueError):
            continue
        return True
    return False


def resolve(address: Any, family: int) -> Any:
    """The address with its host's name looked up, if it has one.

    The C level looks names up by itself when it is given one, and blocks. What is no address at all is
    left to it, too: it says what is wrong.

    Raises:
        gaierror: there is no such host.
    """
    if family not in _INTERNET or not isinstance(address, tuple) or len(address) < 2:
        return address
    host = address[0]
    if not isinstance(host, str | bytes | bytearray) or not host or host == "<broadcast>" or is_numeric(host):
        return address
    try:
        # C encodes only what is not ASCII, unlike getaddrinfo.
        name = host if isinstance(host, str) and not host.isascii() else _as_bytes(host)
        found = getaddrinfo(name, None, family)
    except UnicodeError:
        raise TypeError(f"encoding of hostname failed: {host!r} has no form in ASCII") from None
    return (found[0][4][0], *address[1:])


def _as_bytes(host: str | bytes | bytearray) -> bytes:
    return host.encode() if isinstance(host, str) else bytes(host)


def format_address(address: Any) -> str:
    """``127.0.0.1:80``, ``[::1]:80`` or the path of a Unix socket; empty for what has no address."""
    if isinstance(address, tuple) and len(address) >= 2 and isinstance(address[0], str):
        host, port = address[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    if isinstance(address, bytes):
        return address.decode(errors="replace").replace("\0", "@", 1)
    return address.replace("\0", "@", 1) if isinstance(address, str) else ""


def peer_of(fd: int) -> str:
    """What a descriptor, which may be some library's, is connected to, as ``format_address`` writes it; or nothing."""
    try:
        # Told that it does not block, which need not be so, or it would set the descriptor to the default timeout.
        borrowed = _raw_socket(-1, SOCK_STREAM | _NONBLOCK, 0, fd)
    except OSError:  # no socket
        return ""
    try:
        return format_address(borrowed.getpeername())
    except OSError:
        return ""
    finally:
        borrowed.detach()
