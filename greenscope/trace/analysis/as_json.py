"""Lines and greenlets as JSON has them: the same in every command's answer and in what the page is sent."""

from __future__ import annotations

from typing import Any

from greenscope.trace.analysis.finding import Who
from greenscope.trace.records import Site

__all__ = ["site_as_json", "who_as_json"]


def site_as_json(site: Site | None) -> dict[str, Any] | None:
    """A line of code: ``file``, ``line`` and ``function``; None if it is not known."""
    return None if site is None else {"file": site.file, "line": site.line, "function": site.function}


def who_as_json(who: Who | None) -> dict[str, Any] | None:
    """A greenlet: ``id`` and ``name``; None if it is nobody's."""
    return None if who is None else {"id": who.id, "name": who.name}
