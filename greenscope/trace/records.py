"""What a reader yields, as values: the left side's last word and all that analysis knows of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["END_OF_TIME", "Event", "Gap", "GreenletSlot", "Site"]

END_OF_TIME = 1 << 62
"""No clock has come so far (ns): a time from here on is damage. Sums of times before it fit into 63 bits."""


class Event(NamedTuple):
    """One record. ``text`` is what its text records carried; the rest is as in ``events.EVENT_KINDS``."""

    time_ns: int
    greenlet: int
    kind: int
    reason: int = 0
    aux: int = 0
    site: int = 0
    arg: int = 0
    text: str = ""


@dataclass(frozen=True, slots=True)
class Gap:
    """Events that nobody will see: the writer overtook the reader, or began before it."""

    lost: int


@dataclass(frozen=True, slots=True)
class Site:
    """A line of code."""

    file: str
    line: int
    function: str


@dataclass(frozen=True, slots=True)
class GreenletSlot:
    """One row of the greenlet table: a greenlet that lived when it was read."""

    greenlet: int
    name: str
    numbered: bool
    parent: int
    spawn_reason: int
    state: str
    reason: int
    since_ns: int
    resource: int
    fd: int | None
    peer: str
    deadline_ns: int
    site: int
    spawn_site: int
    run_ns: int
    switches: int
