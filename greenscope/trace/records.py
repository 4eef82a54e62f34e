"""What a reader yields, as values: the left side's last word and all that analysis knows of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from greenscope.trace.ring_layout import END_OF_TIME, EVENT

__all__ = ["END_OF_TIME", "EVENT_DTYPE", "Batch", "Event", "EventArray", "Gap", "GreenletSlot", "Site"]

EVENT_DTYPE = np.dtype(
    [
        ("time_ns", "<u8"),
        ("greenlet", "<u8"),
        ("kind", "u1"),
        ("reason", "u1"),
        ("aux", "<u2"),
        ("site", "<u4"),
        ("arg", "<u8"),
    ]
)
"""A record as it is in the file."""
assert EVENT_DTYPE.itemsize == EVENT.size

EventArray = npt.NDArray[Any]
"""An array of ``EVENT_DTYPE``."""


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Events in the order they happened, in columns: ``events["time_ns"]``, ``events["kind"]`` …

    ``lost`` records were lost just before the first. ``texts`` has what text records carried, by the
    index of the event they belong to. The array may be read-only.
    """

    lost: int
    events: EventArray
    texts: dict[int, str]

    def __len__(self) -> int:
        return len(self.events)

    def __bool__(self) -> bool:
        """Whether it says anything: events, or that some were lost."""
        return self.lost > 0 or len(self.events) > 0


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
    caller: int = 0
    """The site of the frame that called; 0: unknown."""


class GreenletSlot(NamedTuple):
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
    awaits: int = 0
    """Of a wait for a lock or an end: the greenlet that has it in its hand; 0 if that is not known."""
    origin: int = 0
    """Of a wait for a peer: ``Origin``."""
