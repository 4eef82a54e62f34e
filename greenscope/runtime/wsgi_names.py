"""What a greenlet that serves requests is called: after the request, as long as there are not too many names.

A recording keeps each different string for as long as it lives, and has room for so many. Paths with an id in
them have no end: where there were enough names already, the method alone has to do.
"""

from __future__ import annotations

__all__ = ["name_of_request"]

_MOST_NAMES = 300
_LONGEST = 100
_names: set[str] = set()  # that greenlets were given


def name_of_request(method: str, path: str) -> str:
    """Such as ``GET /orders``, or just ``GET``.

    Args:
        method: the request's.
        path: without its query.
    """
    name = f"{method} {path}"
    if name not in _names:
        if len(_names) >= _MOST_NAMES or len(name) > _LONGEST:
            return method
        _names.add(name)
    return name
