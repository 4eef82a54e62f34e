"""``events --explain``: each event in one or two sentences, with the reason.

What a sentence says depends on what came before it: so every event has to be followed, those that nobody wants to see
as well.
"""

from __future__ import annotations

from greenscope.cli.words import printable
from greenscope.trace.analysis.narrate import LANGUAGES, narrate_loss, sentences
from greenscope.trace.analysis.steps import Steps
from greenscope.trace.reader import RingReader
from greenscope.trace.records import Event

__all__ = ["LANGUAGES", "Explained"]

_NAME = 20
_INDENT = " " * (13 + 2 + _NAME + 1)  # under the first sentence


class Explained:
    """The events of one ring, in words.

    Args:
        reader: the ring.
        language: one of ``LANGUAGES``.
    """

    def __init__(self, reader: RingReader, language: str) -> None:
        self._start = reader.info.start_monotonic_ns
        self._language = language
        self._between = LANGUAGES[language]["between"]
        self.steps = Steps(reader, reader.greenlets())

    def text(self, event: Event) -> str:
        """What the next event says, in one text."""
        return printable(self._between.join(sentences(self.steps, event, self._language)))

    def lines(self, event: Event, name: str) -> str:
        """The next event as a line or two: when, who, what happened; and below it why, and what comes of it."""
        first, *rest = (printable(one) for one in sentences(self.steps, event, self._language))
        head = f"{(event.time_ns - self._start) / 1e9:13.6f}  {printable(name):<{_NAME}} {first}"
        return f"{head}\n{_INDENT}{self._between.join(rest)}" if rest else head

    def lost(self, records: int) -> str:
        """So many records were lost here: that, in words; they are forgotten."""
        self.steps.lose(records)
        return f"-- {narrate_loss(records, self._language)} --"
