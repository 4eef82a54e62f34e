"""What a server's TLS arguments mean: the context, and how it wraps a connection.

Apart from ``server``, which imports it when it is first given such arguments: OpenSSL costs a program
that talks in the clear nothing.
"""

from __future__ import annotations

import ssl as _stdlib
from typing import Any

from greenscope.runtime.ssl import SSLContext
from greenscope.runtime.ssl_socket import SSLSocket

__all__ = ["context_and_rest", "green_wrap"]

_PLAIN_SOCKET = _stdlib.SSLContext.sslsocket_class
_OF_CONTEXT = {"keyfile", "certfile", "cert_reqs", "ssl_version", "ca_certs", "ciphers"}
_OF_WRAPPING = {"server_side", "do_handshake_on_connect", "suppress_ragged_eofs", "server_hostname", "session"}


def context_and_rest(arguments: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The context that a server's arguments give or describe, and what is left, which is for wrapping.

    Raises:
        OSError: a file cannot be read, or has no key or certificate in it.
        TypeError: there is no such argument.
    """
    wrapping = {"server_side": True}
    wrapping.update((name, arguments.pop(name)) for name in _OF_WRAPPING & arguments.keys())
    if "ssl_context" in arguments:
        context = arguments.pop("ssl_context")
        if not hasattr(context, "wrap_socket"):
            raise TypeError(f"ssl_context is an SSLContext, not {context!r}; leave it out to talk in the clear")
    else:
        settings = {name: arguments.pop(name) for name in _OF_CONTEXT & arguments.keys()}
        context = SSLContext(settings.get("ssl_version", _stdlib.PROTOCOL_TLS_SERVER))
        if settings.get("certfile"):
            context.load_cert_chain(settings["certfile"], settings.get("keyfile"))
        if settings.get("ca_certs"):
            context.load_verify_locations(settings["ca_certs"])
        if settings.get("ciphers"):
            context.set_ciphers(settings["ciphers"])
        context.verify_mode = settings.get("cert_reqs", _stdlib.CERT_NONE)
    if arguments:
        raise TypeError(f"a server has no argument {', '.join(sorted(arguments))}")
    return context, wrapping


def green_wrap(context: Any, sock: Any, **arguments: Any) -> Any:
    """A TLS socket that waits in the hub, also of a context that would make one that blocks."""
    if context.sslsocket_class is _PLAIN_SOCKET and not issubclass(_PLAIN_SOCKET, SSLSocket):
        return SSLSocket._create(sock, context=context, **arguments)
    return context.wrap_socket(sock, **arguments)
