"""What a greenlet waited for came, and nobody told the greenlet: its watcher fired, the hub went on, it still waits.

The runtime's own waits cannot lose a wake-up so; what is built by hand of a watcher, a function and the hub can. Only
those are looked at that began with the greenlet itself, and ended without anything else coming of them.
"""

from __future__ import annotations

from collections.abc import Iterator

from greenscope.trace.analysis.callbacks import Called
from greenscope.trace.analysis.diagnoses.diagnosis import Diagnosis
from greenscope.trace.analysis.finding import Evidence, Finding, Severity
from greenscope.trace.analysis.model import Model
from greenscope.trace.analysis.states import State
from greenscope.trace.analysis.words import duration, many, place
from greenscope.trace.events import NO_FD, Wait, Watch
from greenscope.trace.records import GreenletSlot

__all__ = ["LostWakeup"]

_SAW = {Watch.READ: "could be read", Watch.WRITE: "could be written", Watch.CHILD: "its process ended"}


class LostWakeup(Diagnosis):
    """``lost-wakeup``: who waits in vain at one line."""

    id = "lost-wakeup"
    severity = Severity.CRITICAL
    advice = (
        "Have the function wake its greenlet on every way out, before it stops the watcher; or let the runtime do it:"
        " hub.wait(watcher), wait_read, an Event."
    )

    def check(self, model: Model) -> Iterator[Finding]:
        """A finding for each line."""
        longest = model.thresholds.lost_ms * 1_000_000
        at_line: dict[int, list[tuple[GreenletSlot, Called]]] = {}
        for slot in model.waiting():
            if slot.reason == Wait.OTHER and not slot.resource and not slot.deadline_ns:
                lost = _lost(model, slot)
                if lost is not None and model.now - max(slot.since_ns, lost.fired) >= longest:
                    at_line.setdefault(slot.site, []).append((slot, lost))
        return (self._finding(model, found) for found in at_line.values())

    def _finding(self, model: Model, found: list[tuple[GreenletSlot, Called]]) -> Finding:
        slot, lost = min(found, key=lambda each: each[1].fired)
        who, site = model.who(slot.greenlet), model.site(slot.site)
        others = tuple(model.who(one.greenlet) for one, _ in found if one is not slot)
        what = f"fd {lost.fd}" if lost.fd != NO_FD else f"watcher {lost.resource}"
        saw = _SAW.get(Watch(lost.watch), "it fired")
        since = max(slot.since_ns, lost.fired)
        waits = f"and {many(len(others), 'other')} still wait" if others else "still waits"
        return Finding(
            id=self.id,
            severity=self.severity,
            sentence=(
                f"{who.name} {waits} at {place(site)}, {duration(model.now - since)} after its watcher of {what} fired:"
                f" the function that was called woke nobody, and the watcher was stopped."
            ),
            advice=self.advice,
            since=since,
            greenlet=who,
            site=site,
            resource=what,
            others=others,
            count=len(found),
            evidence=(
                Evidence("started the watcher, with a function to be called", lost.started, who),
                Evidence("waits to be woken, no deadline", slot.since_ns, who, site),
                Evidence(f"{what}: {saw}; the function was called", lost.fired),
                Evidence(f"{what} is watched no more; nobody became ready", lost.over),
            ),
            stack=tuple(model.numbers.stack(slot.site)),
        )


def _lost(model: Model, slot: GreenletSlot) -> Called | None:
    """The watcher whose news did not reach its greenlet; None if there is none, or another may still fire."""
    lane = model.timeline.lanes.get(slot.greenlet)
    run = lane.span_at(slot.since_ns - 1, model.now) if lane is not None else None
    if run is None or run.state not in {State.RUNNING, State.STALLED}:
        return None
    started = model.callbacks.by(slot.greenlet, run.start)
    if not all(one.over for one in started):
        return None
    return next((one for one in started if one.idle and slot.since_ns <= one.fired <= one.over), None)
