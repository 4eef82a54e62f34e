"""What the events come to: pure functions of events, without I/O, clocks or globals."""

from greenscope.trace.analysis.lane import ALIVE, Lane, Segment, Span
from greenscope.trace.analysis.notes import Note
from greenscope.trace.analysis.stalls import Stall
from greenscope.trace.analysis.states import POLL, State, label
from greenscope.trace.analysis.timeline import DEFAULT_STALL_NS, Timeline
from greenscope.trace.analysis.watchers import Watcher

__all__ = [
    "ALIVE",
    "DEFAULT_STALL_NS",
    "POLL",
    "Lane",
    "Note",
    "Segment",
    "Span",
    "Stall",
    "State",
    "Timeline",
    "Watcher",
    "label",
]
