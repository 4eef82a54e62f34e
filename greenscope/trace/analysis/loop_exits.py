"""Every ``loop_exit`` of a ring: when nothing was left to wake anyone, and whose wait that came down to."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from greenscope.trace.analysis.timeline import Folded
from greenscope.trace.events import Kind, unpack

__all__ = ["LoopExitSeen", "LoopExits"]

_KEEP = 100


@dataclass(frozen=True, slots=True)
class LoopExitSeen:
    """One of them: when; who waited, for what (a ``Wait``, and a resource's number), at which site, since when."""

    at: int
    greenlet: int
    reason: int
    resource: int
    site: int
    since: int
    waiting: int
    """How many waited in all."""


class LoopExits:
    """The last hundred."""

    def __init__(self) -> None:
        self.kept: deque[LoopExitSeen] = deque(maxlen=_KEEP)

    def add(self, folded: Folded | None) -> None:
        """Take up a batch."""
        if folded is None:
            return
        for index in np.flatnonzero(folded.kinds == Kind.LOOP_EXIT)[-_KEEP:].tolist():
            event, at = folded.events[index], int(folded.at[index])
            resource, waited_ms = unpack(int(event["arg"]))
            self.kept.append(
                LoopExitSeen(
                    at, int(event["greenlet"]), int(event["reason"]), resource, int(event["site"]),
                    max(at - waited_ms * 1_000_000, 0), int(event["aux"]),
                )
            )  # fmt: skip
