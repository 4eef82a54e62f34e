"""What a step is told with: values that never change, so that a copy of what is known shares them.

Numbers of sites are the ring's, as in events; times are CLOCK_MONOTONIC nanoseconds.
"""

from __future__ import annotations

from typing import NamedTuple

from greenscope.trace.analysis.states import Life

__all__ = ["Armed", "Awake", "Call", "Counting", "Greenlet", "Held", "Job", "Parked", "Watched"]


class Parked(NamedTuple):
    """What a greenlet waits for."""

    reason: int
    """One of ``Wait``."""
    resource: int
    """The watcher, lock or queue; 0: it has no number."""
    fd: int | None
    deadline_ns: int
    """When a timeout ends it at the latest; 0: never."""
    awaits: int
    """Of a wait for a lock or an end, the greenlet that has it in its hand; 0 if that is not known."""
    site: int
    """Where, and so where it will go on."""
    since_ns: int


class Awake(NamedTuple):
    """Why a greenlet is ready."""

    reason: int
    """One of ``Ready``, which says what ``by`` numbers."""
    by: int
    since_ns: int


class Greenlet(NamedTuple):
    """One that lives, and is not the hub."""

    number: int
    life: Life = Life.UNKNOWN
    spawn: int | None = None
    """One of ``Spawn``; None if that was not seen."""
    by: int = 0
    spawned_at: int = 0
    has_run: bool = True
    """Whether it may have run before."""
    wait: Parked | None = None
    """What it waits for; of one that is ready, what it waited for. None if it did not, or that is not known."""
    awake: Awake | None = None
    """Why it is ready."""


class Watched(NamedTuple):
    """What a watcher's number stands for."""

    watch: int
    fd: int | None
    peer: str = ""
    origin: int = 0


class Armed(NamedTuple):
    """A watcher that somebody waits on."""

    watcher: int
    watch: int
    fd: int | None
    owner: int
    """The greenlet that waits on it; 0: the hub, if a function is to be called."""
    ms: int
    """Of a timer: after how long it is due."""
    site: int
    since_ns: int
    fired: bool = False

    @property
    def due_ns(self) -> int:
        """Of a timer that has not fired: when it is due; else 0."""
        return self.since_ns + self.ms * 1_000_000 if self.ms and not self.fired else 0


class Counting(NamedTuple):
    """A timeout that counts."""

    number: int
    owner: int
    reason: int
    ms: int
    due_ns: int
    site: int


class Call(NamedTuple):
    """A call of a socket that is not over."""

    op: int
    fd: int | None
    watcher: int
    tls: bool
    site: int
    since_ns: int
    waits: int = 0
    """How often it had to wait by now."""


class Held(NamedTuple):
    """A lock or a semaphore that somebody holds."""

    what: int
    """One of ``Resource``; ``OTHER`` if that was not said."""
    holders: tuple[int, ...]
    """Who, the first first."""


class Job(NamedTuple):
    """A function that was given to a thread."""

    called: int
    by: int
    pool: int
