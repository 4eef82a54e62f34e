"""What the debug middleware is told, and whether it is asked for at all."""

from __future__ import annotations

import re
from dataclasses import dataclass
from os import environ as _environ  # by name: patching puts others in their place

from greenscope.errors import GreenscopeError
from greenscope.trace.debugging import debugging

__all__ = ["PREFIX", "Settings", "settings_of"]

PREFIX = "/__greenscope__"
_PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)+")


@dataclass(frozen=True, slots=True)
class Settings:
    """See ``DebugMiddleware``."""

    enabled: bool
    prefix: str
    bar: bool


def settings_of(enabled: bool | None, prefix: str, bar: bool) -> Settings:
    """The settings of a middleware.

    Raises:
        GreenscopeError: the prefix is no path.
    """
    if _PREFIX.fullmatch(str(prefix)) is None:
        raise GreenscopeError(
            f"prefix is {prefix!r}: give a path that begins with / and does not end so, as {PREFIX!r}"
        )
    if enabled is None:
        enabled = _environ.get("GREENSCOPE_DEBUG") == "1"
    if enabled:
        # Now, and not with the first request for the dashboard: an import of http.client keeps a hub for a while.
        import greenscope.web.beside  # noqa: F401

        debugging.always_traced = debugging.named = True  # what goes on from here is to be in its record
        if f"{prefix}/" not in debugging.unrecorded:
            debugging.unrecorded += (f"{prefix}/",)
    return Settings(bool(enabled), prefix, bool(bar))
