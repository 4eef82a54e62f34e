"""The viewer, and what a traced process needs of it.

``create_app`` makes the dashboard an ASGI application; ``DebugMiddleware`` and ``AsgiDebugMiddleware`` say of each
request where its time went. All is loaded when it is asked for: a traced process imports this package for what stands
beside it there, and neither FastAPI nor numpy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from greenscope.web.app import create_app
    from greenscope.web.middleware.asgi import AsgiDebugMiddleware
    from greenscope.web.middleware.wsgi import DebugMiddleware

__all__ = ["AsgiDebugMiddleware", "DebugMiddleware", "create_app"]

_WHERE = {
    "AsgiDebugMiddleware": "greenscope.web.middleware.asgi",
    "DebugMiddleware": "greenscope.web.middleware.wsgi",
    "create_app": "greenscope.web.app",
}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_WHERE[name]), name)
