"""Follows the records of one section, and makes batches of them.

What is new is copied; then ``head`` is looked at again, and what the writer overtook in the meantime is
dropped and counted. Text records are taken out of the events and given to the one before them; an
event and its texts are published together, and are never in two batches.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from greenscope.trace.events import Kind
from greenscope.trace.records import EVENT_DTYPE, Batch, EventArray
from greenscope.trace.ring_layout import TEXT_BYTES
from greenscope.trace.ring_source import RingSource, Section

__all__ = ["RecordCursor"]

_NO_EVENTS: EventArray = np.empty(0, EVENT_DTYPE)


class RecordCursor:
    """Where a reader is in one section.

    Args:
        source: the file.
        section: which of its rings of records.
    """

    def __init__(self, source: RingSource, section: Section) -> None:
        self._source = source
        self._section = section
        self.position = 0
        """How many records were read or lost."""
        self.lost = 0
        self.caught_up = False
        """Whether the last batch had everything there was."""

    def take(self, limit: int) -> Batch:
        """What is new: at most ``limit`` records, and the texts that belong to the last of them.

        Records that were overwritten count as lost, and texts whose event was overwritten too.
        """
        source, section = self._source, self._section
        head, capacity = source.extent(section)
        start = max(self.position, section.oldest(head, capacity))
        stop = min(head, start + limit + section.burst)
        self.caught_up = stop <= start
        if stop <= self.position:
            return Batch(0, _NO_EVENTS, {})
        data = source.records(section, start, stop, capacity) if stop > start else b""
        # Whatever the writer has reached by now may have been overwritten while it was copied.
        whole = min(max(start, section.oldest(*source.extent(section))), stop)
        records: EventArray = np.frombuffer(data, EVENT_DTYPE)[whole - start :]
        is_text = records["kind"] == Kind.TEXT
        cut = _cut(is_text, limit, section.burst, all_there=stop == head)
        records, is_text = records[:cut], is_text[:cut]
        orphans = _first(~is_text)
        after = whole + cut
        if orphans == cut > 0:  # not one event: is it a hole?
            after = source.after_hole(section, after, head, capacity)
        lost = after - cut - self.position + orphans
        self.position = after
        self.caught_up = self.position >= head
        self.lost += lost
        events, texts = _without_texts(records[orphans:], is_text[orphans:])
        return Batch(lost, events, texts)


def _first(mask: npt.NDArray[np.bool_]) -> int:
    """Index of the first that is true, or the length."""
    return int(mask.argmax()) if mask.any() else len(mask)


def _cut(is_text: npt.NDArray[np.bool_], limit: int, burst: int, all_there: bool) -> int:
    """How many records to take, so that no event is parted from texts that follow it."""
    count = len(is_text)
    cut = limit + _first(~is_text[limit:]) if count > limit else count
    if all_there or cut < count:
        return cut
    # The last event may go on beyond what was copied; a burst of text alone is damage, and goes through.
    last = count - 1 - _first(~is_text[::-1])
    return last if last > 0 else 0 if last == 0 and count < burst else count


def _without_texts(records: EventArray, is_text: npt.NDArray[np.bool_]) -> tuple[EventArray, dict[int, str]]:
    numbers = np.flatnonzero(is_text)
    if not len(numbers):
        return records, {}
    # Rows of bytes: numpy copies them at once, and records a field at a time.
    rows = records.view(np.uint8).reshape(-1, EVENT_DTYPE.itemsize)
    raw = rows[numbers]
    lengths = np.minimum(raw[:, EVENT_DTYPE.fields["reason"][1]], TEXT_BYTES).tolist()  # type: ignore[index]
    body = np.concatenate((raw[:, :16], raw[:, 20:]), axis=1).tobytes()
    pieces: dict[int, bytes] = {}
    # Before the n-th text there are n others, and its owner is the event before it.
    owners = (numbers - np.arange(1, len(numbers) + 1)).tolist()
    for at, owner, length in zip(range(0, len(body), TEXT_BYTES), owners, lengths, strict=True):
        pieces[owner] = pieces.get(owner, b"") + body[at : at + length]
    events = rows[np.flatnonzero(~is_text)].reshape(-1).view(EVENT_DTYPE)
    return events, {owner: text.decode("utf-8", "replace") for owner, text in pieces.items()}
