"""What a diagnosis says: one finding for one cause, however often it struck."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from greenscope.trace.records import Site

__all__ = ["Evidence", "Finding", "Severity", "Who"]


class Severity(StrEnum):
    """How much it matters, the worst first."""

    CRITICAL = "critical"
    """Somebody does not go on, or everybody."""
    WARNING = "warning"
    """It is slower than it should be, or will stop one day."""
    NOTE = "note"
    """It may be meant."""


@dataclass(frozen=True, slots=True)
class Who:
    """A greenlet, as it is called on the screen."""

    id: int
    name: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """One thing that was seen.

    Args:
        text: it, in a few words.
        at: when (CLOCK_MONOTONIC ns); 0 if it is of no moment.
        greenlet: whose it is; None if nobody's.
        site: at which line; None if at none.
    """

    text: str
    at: int = 0
    greenlet: Who | None = None
    site: Site | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """One cause of trouble.

    Args:
        id: the diagnosis's.
        greenlet: the culprit, or who suffers if there is no culprit; None for the whole hub.
        site: the line that is to be looked at.
        since: when it began; of what struck several times, the worst time (CLOCK_MONOTONIC ns).
        until: when that was over; 0 while it goes on.
        resource: what it is about: "lock 12", "fd 7 10.0.0.5:6379"; empty for nothing.
        others: who else is part of it.
        count: how often it struck.
        sentence: what is wrong, in one sentence.
        advice: what to do.
        evidence: what was seen, in the order in which it is told.
        stack: the frames, innermost first, where they are known.
    """

    id: str
    severity: Severity
    sentence: str
    advice: str
    since: int
    until: int = 0
    greenlet: Who | None = None
    site: Site | None = None
    resource: str = ""
    others: tuple[Who, ...] = ()
    count: int = 1
    evidence: tuple[Evidence, ...] = ()
    stack: tuple[Site, ...] = ()

    @property
    def cause(self) -> tuple[object, ...]:
        """What tells it from others, and stays the same while it grows."""
        about = self.site or self.resource or self.greenlet
        return (self.id, about, self.greenlet if self.site is None else None)

    def lasted(self, now: int) -> int:
        """Nanoseconds, so far if it goes on."""
        return max((self.until or now) - self.since, 0)
