"""A ring file as a replay: opened, read to its newest event, and read on where it is still written.

Refuses to keep more than so many records: of a ring that holds more, or of one that is written without end, the newest
count, and step 0 is one of them.
"""

from __future__ import annotations

from pathlib import Path

from greenscope.trace.analysis.replay import Replay
from greenscope.trace.reader import RingReader
from greenscope.trace.records import Batch

__all__ = ["MOST_RECORDS", "Replaying"]

MOST_RECORDS = 1 << 20
"""So many of the newest records are taken at first: those of a ring of 32 MiB."""


class Replaying:
    """Steps through one ring: live, dead or a snapshot.

    Args:
        path: it.
        most: at most so many records are taken at first, and as many again as a live ring grows.

    Raises:
        RingFormatError: the file is not a ring; or is cut short, from any method.
        OSError: it cannot be read.
    """

    def __init__(self, path: Path, most: int = MOST_RECORDS) -> None:
        self.reader = RingReader(path)
        self.info = self.reader.info
        try:
            self._most = most
            self.first = max(self.reader.head - most, 0)
            """How many records were written before step 0; a loss is said at step 0."""
            self.replay = Replay(self.reader, self.reader.greenlets(), self.info.start_monotonic_ns)
            self.complete = False
            """Whether nothing more is to come."""
            self.read()
        except BaseException:
            self.close()
            raise

    @property
    def is_full(self) -> bool:
        """Whether it takes in no more: who wants what came since has to open the ring anew."""
        return len(self.replay) >= 2 * self._most

    def read(self) -> None:
        """Take in what was written by now."""
        state, end = self.reader.state(), self.reader.head
        if not len(self.replay) and self.first:
            self.reader.skip_to(self.first)
            batch = self.reader.read_batch()
            self.replay.add(Batch(batch.lost + self.first, batch.events, batch.texts))
        while not self.is_full and (batch := self.reader.read_batch()):
            self.replay.add(batch)
            if self.reader.position >= end:
                break
        self.complete = state != "live" and self.reader.position >= end

    def close(self) -> None:
        """Let go of the file."""
        self.reader.close()
