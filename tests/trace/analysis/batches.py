"""Batches for tests, out of events one can read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from greenscope.trace.analysis import Timeline
from greenscope.trace.records import EVENT_DTYPE, Batch, Event, Gap, GreenletSlot


def batch(events: Sequence[Event], lost: int = 0) -> Batch:
    """Events as the reader gives them."""
    rows = np.array([event[:7] for event in events], EVENT_DTYPE)
    return Batch(lost, rows, {index: event.text for index, event in enumerate(events) if event.text})


def batches(records: Iterable[Event | Gap]) -> list[Batch]:
    """Events and gaps as the reader gives them: a gap begins a batch."""
    found: list[tuple[int, list[Event]]] = [(0, [])]
    for record in records:
        if isinstance(record, Gap):
            found.append((record.lost, []))
        else:
            found[-1][1].append(record)
    return [batch(events, lost) for lost, events in found if events or lost]


def apply(line: Timeline, records: Iterable[Event | Gap], table: Iterable[GreenletSlot] = ()) -> None:
    """Fold events and gaps, each stretch between two gaps at once."""
    table = list(table)
    for piece in batches(records):
        line.apply(piece, table)
