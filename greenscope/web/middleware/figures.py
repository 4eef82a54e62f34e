"""What became of a request's time, as numbers, as a ``Server-Timing`` header, and in words.

Times are of the greenlet that serves the request: it runs, it is ready and waits for the hub (starved), or it
waits, for something that has a kind. They are read from the process's own ring when somebody asks. Where there is
none (a server of threads or processes, or ``GREENSCOPE=0``) the wall clock's time is all that is known.
"""

from __future__ import annotations

from time import monotonic_ns
from typing import TYPE_CHECKING, NamedTuple

from greenscope.trace.events import Wait
from greenscope.trace.here import here

if TYPE_CHECKING:
    from greenscope.trace.recorder import Recorder

__all__ = ["WAITS", "Figures", "Moment", "server_timing", "wait_of"]

_MOST = 1 << 18  # records that are read: a millisecond's work, or less

WAITS: dict[int, tuple[str, str]] = {
    Wait.OTHER: ("wait-other", "waited"),
    Wait.READ: ("wait-read", "waited to read"),
    Wait.WRITE: ("wait-write", "waited to write"),
    Wait.TIMER: ("wait-timer", "slept"),
    Wait.LOCK: ("wait-lock", "waited for a lock"),
    Wait.QUEUE: ("wait-queue", "waited for a queue"),
    Wait.EVENT: ("wait-event", "waited for an event"),
    Wait.JOIN: ("wait-join", "waited for another's end"),
    Wait.YIELD: ("wait-yield", "gave way"),
    Wait.THREAD: ("wait-thread", "waited for a thread"),
    Wait.CHILD: ("wait-child", "waited for a child process"),
    Wait.SIGNAL: ("wait-signal", "waited for a signal"),
    Wait.LOOKUP: ("wait-lookup", "waited for a look-up"),
}
"""Of each kind of wait, its metric in ``Server-Timing`` and what it is in words."""


class Figures(NamedTuple):
    """Nanoseconds, since the request began."""

    total: int
    recorded: bool
    """Whether there is a ring: if not, the total is all there is."""
    whole: bool = True
    """Whether the ring still had all of it; what was overwritten is in none of the other sums."""
    run: int = 0
    ready: int = 0
    waits: tuple[tuple[int, int], ...] = ()
    """(Wait, nanoseconds), the longest first."""
    spawned: int = 0
    """Greenlets that it spawned, and that those spawned."""
    spawned_run: int = 0
    """How long these ran."""
    unit: str = "greenlet"
    """What runs: a task, in an event loop."""

    @property
    def spawned_words(self) -> str:
        """How many it spawned."""
        return f"{self.spawned} {self.unit}{'' if self.spawned == 1 else 's'}"


class Moment:
    """When a request began, in the clock's eyes and in the ring's.

    Args:
        recorder: the ring's; None if there is none.
        unit: what runs.
    """

    __slots__ = ("_handle", "_head", "_recorder", "_time_ns", "_unit")

    def __init__(self, recorder: Recorder | None, unit: str) -> None:
        self._unit = unit
        self._recorder = recorder
        self._time_ns = monotonic_ns()
        if recorder is not None:
            self._head = recorder.head
            self._handle = recorder.current

    def figures(self) -> Figures:
        """What became of the time since."""
        total = monotonic_ns() - self._time_ns
        recorder = self._recorder
        # In another thread than it began in, its greenlet's state is not ours to say.
        if recorder is None or recorder is not here.recorder:
            return Figures(total, False, unit=self._unit)
        whole, run, ready, waits, spawned, spawned_run = recorder.figures(
            self._head, self._time_ns, self._handle, _MOST
        )
        if whole:  # to the clock's reading that these were made with
            total = run + ready + sum(waits.values())
        longest = tuple(sorted(waits.items(), key=lambda item: -item[1]))
        return Figures(total, True, whole, run, ready, longest, spawned, spawned_run, self._unit)


def server_timing(figures: Figures) -> str:
    """The header's value: metrics in milliseconds, as https://www.w3.org/TR/server-timing/ has them."""
    metrics = [f"total;dur={_ms(figures.total)}"]
    if figures.recorded:
        metrics.append(f'run;desc="ran";dur={_ms(figures.run)}')
        metrics.append(f'ready;desc="ready, and waited for its turn";dur={_ms(figures.ready)}')
        for reason, nanoseconds in figures.waits:
            token, words = wait_of(reason)
            metrics.append(f'{token};desc="{words}";dur={_ms(nanoseconds)}')
        if figures.spawned:
            metrics.append(f'spawned;desc="{figures.spawned_words} spawned, ran";dur={_ms(figures.spawned_run)}')
        if not figures.whole:
            metrics.append('lost;desc="more happened than is still there to read: these are not all"')
    return ", ".join(metrics)


def wait_of(reason: int) -> tuple[str, str]:
    """A wait's metric and words; those of another, if nobody knows it."""
    return WAITS.get(reason, WAITS[Wait.OTHER])


def _ms(nanoseconds: int) -> str:
    return f"{nanoseconds / 1e6:.3f}"
