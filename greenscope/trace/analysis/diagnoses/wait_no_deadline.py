"""A wait for a peer that may never answer, without a timeout: it can last for ever, and nothing says so."""

from __future__ import annotations

from collections.abc import Iterator

from greenscope.trace.analysis.diagnoses.diagnosis import Diagnosis
from greenscope.trace.analysis.finding import Evidence, Finding, Severity
from greenscope.trace.analysis.model import Model
from greenscope.trace.analysis.states import LABELS
from greenscope.trace.analysis.words import duration, many, place
from greenscope.trace.events import Origin, Wait
from greenscope.trace.records import GreenletSlot

__all__ = ["WaitNoDeadline"]

_NAMED = 3
_VERBS = {Wait.READ: "an answer from", Wait.WRITE: "room to send to"}


class WaitNoDeadline(Diagnosis):
    """``wait-no-deadline``: who waits for one peer at one line."""

    id = "wait-no-deadline"
    severity = Severity.WARNING
    advice = "Give the socket a timeout (settimeout, or the client's own option), or put the call into a Timeout."

    def check(self, model: Model) -> Iterator[Finding]:
        """A finding for each peer and line."""
        longest = model.thresholds.wait_ms * 1_000_000
        serves = any(slot.peer.startswith("listening") for slot in model.waiting())
        together: dict[tuple[int, str], list[GreenletSlot]] = {}
        for slot in model.waiting():
            for_a_peer = slot.reason in _VERBS and slot.peer and not slot.peer.startswith("listening")
            # A server waits for whoever connected to it to say something, and may: that is a quiet client.
            is_ours = slot.origin == Origin.CONNECTED or (slot.origin == Origin.UNKNOWN and not serves)
            if for_a_peer and is_ours and slot.site and not slot.deadline_ns and model.now - slot.since_ns >= longest:
                together.setdefault((slot.site, slot.peer), []).append(slot)
        return (self._finding(model, slots) for slots in together.values())

    def _finding(self, model: Model, slots: list[GreenletSlot]) -> Finding:
        slots.sort(key=lambda slot: slot.since_ns)
        worst = slots[0]
        who, site = model.who(worst.greenlet), model.site(worst.site)
        others = tuple(model.who(slot.greenlet) for slot in slots[1:])
        waited = f"and {many(len(others), 'other')} have waited" if others else "has waited"
        return Finding(
            id=self.id,
            severity=self.severity,
            sentence=(
                f"{who.name} {waited} {duration(model.now - worst.since_ns)} for"
                f" {_VERBS[Wait(worst.reason)]} {worst.peer}, with no timeout, at {place(site)}."
            ),
            advice=self.advice,
            since=worst.since_ns,
            greenlet=who,
            site=site,
            resource=f"fd {worst.fd} {worst.peer}",
            others=others,
            evidence=tuple(
                Evidence(
                    f"waits to {LABELS[slot.reason]} fd {slot.fd} {slot.peer}, no deadline",
                    slot.since_ns,
                    model.who(slot.greenlet),
                    site,
                )
                for slot in slots[:_NAMED]
            ),
            stack=tuple(model.numbers.stack(worst.site)),
        )
