"""Who waits for whom: the graph of the waits that one other greenlet is to end.

Made of the greenlet table alone, so it is there however often the ring has wrapped: whoever waits for a lock, or for
a greenlet's end, is in the table with whom that is up to. Of those that wait for one lock, only the first in its
line is kept up to date when the lock goes from hand to hand; who has waited longest is the first. What is not known
is not guessed: a semaphore that lets several in, one that may be released at will (``Semaphore``), what another
thread's greenlet holds, and an end that is waited for together with others' of which one is enough.
"""

from __future__ import annotations

from collections.abc import Iterator

from greenscope.trace.analysis.model import Model
from greenscope.trace.events import Wait
from greenscope.trace.records import GreenletSlot

__all__ = ["awaited", "circles", "thing"]


def awaited(model: Model) -> dict[int, int]:
    """For whoever waits for one other greenlet, that one; ``NOT_STARTED`` if it was never started."""
    first: dict[int, GreenletSlot] = {}
    for slot in model.waiting():
        if slot.reason == Wait.LOCK and (slot.resource not in first or slot.since_ns < first[slot.resource].since_ns):
            first[slot.resource] = slot
    whom = {}
    for slot in model.waiting():
        if slot.reason == Wait.LOCK:
            whom[slot.greenlet] = first[slot.resource].awaits
        elif slot.reason == Wait.JOIN:
            whom[slot.greenlet] = slot.awaits
    return {greenlet: other for greenlet, other in whom.items() if other}


def circles(model: Model, least_ns: int) -> Iterator[list[GreenletSlot]]:
    """Greenlets of which each waits for the next, and the last for the first, which nothing will end.

    Args:
        model: at its moment.
        least_ns: how long each of them has waited, at least.

    Returns:
        Each circle once, beginning with who closed it: who began to wait last.
    """
    stuck = {}
    for slot in model.waiting():
        if not slot.deadline_ns and model.now - slot.since_ns >= least_ns:
            stuck[slot.greenlet] = slot
    whom = {one: other for one, other in awaited(model).items() if one in stuck and other in stuck}
    seen: set[int] = set()
    for start in whom:
        path: dict[int, int] = {}
        at = start
        while at in whom and at not in seen:
            seen.add(at)
            path[at] = len(path)
            at = whom[at]
        if at in path:
            circle = [stuck[one] for one in list(path)[path[at] :]]
            last = max(range(len(circle)), key=lambda index: (circle[index].since_ns, circle[index].greenlet))
            yield circle[last:] + circle[:last]


def thing(slot: GreenletSlot) -> str:
    """What somebody waits for, in words: "lock 12"; "its end"."""
    return f"lock {slot.resource}" if slot.reason == Wait.LOCK else "its end"
