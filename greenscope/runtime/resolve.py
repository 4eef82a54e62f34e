"""Names and addresses: look-ups that do not block the hub, and addresses written for people.

Owns the green ``getaddrinfo`` and its kind. A numeric address needs no look-up and is answered at
once; everything else goes to a thread, because the system's resolver knows no other way.
"""

from __future__ import annotations

import socket as stdlib
from typing import Any

from greenscope.runtime.threads import run_in_thread

__all__ = [
    "format_address",
    "getaddrinfo",
    "getfqdn",
    "gethostbyaddr",
    "gethostbyname",
    "gethostbyname_ex",
    "getnameinfo",
    "resolve",
]

AddressInfo = Any  # (family, kind, protocol, canonical name, address)


def getaddrinfo(
    host: str | bytes | None,
    port: str | int | None,
    family: int = 0,
    type: int = 0,  # noqa: A002  (the standard library's name)
    proto: int = 0,
    flags: int = 0,
) -> list[AddressInfo]:
    """The addresses of a host and service; as the standard library's."""
    if not host or is_numeric(host):
        return list(stdlib.getaddrinfo(host, port, family, type, proto, flags))
    found: list[AddressInfo] = run_in_thread(stdlib.getaddrinfo, host, port, family, type, proto, flags)
    return found


def gethostbyname(hostname: str) -> str:
    """The IPv4 address of a host; as the standard library's."""
    if is_numeric(hostname):
        return stdlib.gethostbyname(hostname)
    return run_in_thread(stdlib.gethostbyname, hostname)


def gethostbyname_ex(hostname: str) -> tuple[str, list[str], list[str]]:
    """The name, aliases and IPv4 addresses of a host; as the standard library's."""
    return run_in_thread(stdlib.gethostbyname_ex, hostname)


def gethostbyaddr(address: str) -> tuple[str, list[str], list[str]]:
    """The name, aliases and addresses of an address; as the standard library's."""
    return run_in_thread(stdlib.gethostbyaddr, address)


def getnameinfo(address: Any, flags: int) -> tuple[str, str]:
    """The host and service of an address; as the standard library's."""
    return run_in_thread(stdlib.getnameinfo, address, flags)


def getfqdn(name: str = "") -> str:
    """The full name of a host; as the standard library's."""
    return run_in_thread(stdlib.getfqdn, name)


def is_numeric(host: str | bytes) -> bool:
    """Whether a host is an address already."""
    text = host.decode("latin-1") if isinstance(host, bytes) else host
    for family in (stdlib.AF_INET, stdlib.AF_INET6):
        try:
            stdlib.inet_pton(family, text.partition("%")[0])
        except (OSError, ValueError):
            continue
        return True
    return False


def resolve(address: Any, family: int, kind: int) -> Any:
    """The address with its host name looked up, if it has one.

    The C level looks names up by itself when it is given one, and blocks.
    """
    if family not in (stdlib.AF_INET, stdlib.AF_INET6) or not isinstance(address, tuple) or len(address) < 2:
        return address
    host, port = address[:2]
    if not isinstance(host, str) or not host or host == "<broadcast>" or is_numeric(host):
        return address
    return (*getaddrinfo(host, port, family, kind)[0][4][:2], *address[2:])


def format_address(address: Any) -> str:
    """``127.0.0.1:80``, ``[::1]:80`` or the path of a Unix socket; empty for what has no address."""
    if isinstance(address, tuple) and len(address) >= 2 and isinstance(address[0], str):
        host, port = address[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    if isinstance(address, bytes):
        return address.decode(errors="replace").replace("\0", "@", 1)
    return address.replace("\0", "@", 1) if isinstance(address, str) else ""
