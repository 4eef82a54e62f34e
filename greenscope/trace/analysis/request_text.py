"""What the text of a request says: its id, what it asks for, and of which trace it is; and the route of that.

The text's lines are the id, what is asked for ("GET /orders/7?all=1"), and, if it is known, the W3C ``traceparent`` of
the request itself with the span id of whoever asked after it. They are cut at so many bytes as a record holds, and
may be anything in a damaged file: what does not look like it should is left out, and nothing here raises.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

__all__ = ["PLACEHOLDER", "Said", "route_of", "said_by"]

PLACEHOLDER = "{id}"
"""What stands in a route for a part that tells one thing from others of its kind."""

_ASKED = re.compile(r"([A-Z][A-Z-]*) (\S.*)")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_SPAN_ID = re.compile(r"[0-9a-f]{16}")
_ORIGIN = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")
# A number; a UUID; eight or more hexadecimal digits of which at least one is a digit ("deadbeef" may be a word).
_ID = re.compile(
    r"[0-9]+|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|(?=[a-f]*[0-9])[0-9a-f]{8,}", re.IGNORECASE
)


class Said(NamedTuple):
    """A request's text in its parts; what was not said is empty."""

    id: str
    method: str
    path: str
    """Without the query; where there is no method, all that it asks for."""
    query: str
    route: str
    """Method and path, with a placeholder for each part of it that is an id."""
    traceparent: str
    parent: str
    """The span id of who asked."""

    @property
    def what(self) -> str:
        """What it asks for, as it is shown: "GET /orders/7?all=1"."""
        target = f"{self.path}?{self.query}" if self.query else self.path
        return f"{self.method} {target}" if self.method else target


def said_by(text: str) -> Said:
    """The parts of a request's text."""
    identity, _, rest = text.partition("\n")
    what, _, trace = rest.partition("\n")
    head, mark, query = what.partition("?")
    method, path, route = _asked(head)
    if mark and not method:  # this is no query, then
        path, query, route = what, "", route_of(what)
    if not trace:
        return Said(identity, method, path, query, route, "", "")
    own, _, parent = trace.partition(" ")
    own = own if _TRACEPARENT.fullmatch(own) else ""
    return Said(identity, method, path, query, route, own, parent if _SPAN_ID.fullmatch(parent) else "")


def route_of(path: str) -> str:
    """A path in which every segment that is a number, a UUID or a long hexadecimal number is ``PLACEHOLDER``.

    Args:
        path: without the query.
    """
    return "/".join(PLACEHOLDER if _ID.fullmatch(segment) else segment for segment in path.split("/"))


@lru_cache(maxsize=4096)
def _asked(head: str) -> tuple[str, str, str]:
    """Method, path and route of what is asked for, without its query; what looks like no HTTP is a path as a whole."""
    match = _ASKED.fullmatch(head)
    if match is None:
        return "", head, route_of(head)
    method, path = match.groups()
    origin = _ORIGIN.match(path)
    if origin is not None:  # asked of a proxy
        path = path[origin.end() :] or "/"
    return method, path, f"{method} {route_of(path)}"
