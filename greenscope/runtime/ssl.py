"""The standard library's ``ssl`` module, green: the same names, and handshakes that do not block the hub.

Owns ``SSLContext`` and the functions that make one; the sockets it makes are in ``ssl_socket``. All
that never waits, ``MemoryBIO`` and ``SSLObject`` included, is the standard library's own, so that this
module can stand in for it.

What follows the interpreter's version instead of being written twice:

- The functions that make a context are the standard library's, run with the name ``SSLContext``
  meaning ours.
- Its ``SSLContext`` sets a property through the name ``SSLContext`` in its module, looked up at that
  moment. Once that name means a subclass the setter finds itself, for ever; so ours are bound to the
  class that they were written for.
"""

from __future__ import annotations

import ssl as _stdlib
from types import FunctionType
from typing import TYPE_CHECKING, Any

from greenscope.runtime.socket import create_connection
from greenscope.runtime.ssl_socket import SSLSocket

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any: ...


def _with_names(function: FunctionType, names: dict[str, Any]) -> Any:
    """The same function, for which some names of its module mean something else."""
    new = FunctionType(function.__code__, names, function.__name__, function.__defaults__, function.__closure__)
    new.__kwdefaults__ = function.__kwdefaults__
    new.__doc__ = function.__doc__
    return new


def _bound_properties() -> dict[str, property]:
    names = dict(vars(_stdlib))
    return {
        name: property(member.fget, _with_names(member.fset, names), member.fdel, member.__doc__)
        for name, member in vars(_stdlib.SSLContext).items()
        if isinstance(member, property) and isinstance(member.fset, FunctionType)
    }


_properties = _bound_properties()


class SSLContext(_stdlib.SSLContext):
    """The standard library's, whose sockets are green."""

    sslsocket_class: Any = SSLSocket


for _name, _property in _properties.items():
    setattr(SSLContext, _name, _property)


def adopt_contexts() -> None:
    """Have contexts of the standard library's class, which were made before it was patched, make green sockets.

    For ``monkey``. It also mends their setters, which find our class under their own class's name.
    """
    for name, bound in _properties.items():
        setattr(_stdlib_context, name, bound)
    _stdlib_context.sslsocket_class = SSLSocket  # type: ignore[assignment]


_stdlib_context = _stdlib.SSLContext
_names: dict[str, Any] = {
    **vars(_stdlib),
    "SSLContext": SSLContext,
    "SSLSocket": SSLSocket,
    "create_connection": create_connection,
}
# In this order, because the later ones call the earlier; wrap_socket is gone since 3.12.
for _name in ("create_default_context", "_create_unverified_context", "get_server_certificate", "wrap_socket"):
    if hasattr(_stdlib, _name):
        _names[_name] = _with_names(getattr(_stdlib, _name), _names)
_names["_create_default_https_context"] = _names["create_default_context"]
_names["_create_stdlib_context"] = _names["_create_unverified_context"]

__implements__ = ["SSLContext", "SSLSocket", "get_server_certificate"]
if hasattr(_stdlib, "wrap_socket"):
    __implements__.append("wrap_socket")
__all__ = [*__implements__, "adopt_contexts"]

for _name, _value in _names.items():
    if _name not in globals():
        globals()[_name] = _value
        if not _name.startswith("_"):
            __all__.append(_name)  # noqa: PYI056  (for the run time; a checker has __getattr__ above)
