"""Two greenlets on one direction of one socket: each may get what is the other's."""

from __future__ import annotations

from collections.abc import Iterator

from greenscope.trace.analysis.diagnoses.diagnosis import Diagnosis
from greenscope.trace.analysis.finding import Evidence, Finding, Severity
from greenscope.trace.analysis.model import Model
from greenscope.trace.analysis.notes import Refusal
from greenscope.trace.analysis.words import duration, place
from greenscope.trace.events import Wait
from greenscope.trace.records import GreenletSlot, Site

__all__ = ["ContendedSocket"]

_TOLD = 3
_VERBS: dict[int, str] = {Wait.READ: "read", Wait.WRITE: "write"}  # Watch numbers them alike


class ContendedSocket(Diagnosis):
    """``contended-socket``: who was refused at one line; who waits beside another at one line."""

    id = "contended-socket"
    severity = Severity.WARNING
    advice = (
        "Give each greenlet a connection of its own; or let one read and hand out what it reads, or hold a lock for a"
        " question and its answer."
    )

    def check(self, model: Model) -> Iterator[Finding]:
        """A finding for each line at which the second one came."""
        refused: dict[int, list[Refusal]] = {}
        for refusal in model.timeline.notes.refusals:
            refused.setdefault(refusal.site, []).append(refusal)
        for refusals in refused.values():
            yield self._refused(model, refusals)
        beside: dict[int, list[list[GreenletSlot]]] = {}
        for slots in _together(model):
            if slots[-1].site not in refused:
                beside.setdefault(slots[-1].site, []).append(slots)
        for same in beside.values():
            yield self._beside(model, same)

    def _refused(self, model: Model, refusals: list[Refusal]) -> Finding:
        last = refusals[-1]
        who, other, site = model.who(last.greenlet), model.who(last.other), model.site(last.site)
        there = _line_at(model, last.other, last.at)
        verb, what = _VERBS.get(last.watch, "use"), f"fd {last.fd} {last.peer}".rstrip()
        more = f", the last of {len(refusals)} times" if len(refusals) > 1 else ""
        waits = f"waited to do so{f' at {place(there)}' if there is not None else ''}"
        return Finding(
            id=self.id,
            severity=self.severity,
            sentence=f"{who.name} could not {verb} {what} at {place(site)}, because {other.name} {waits}{more}.",
            advice=self.advice,
            since=last.at,
            until=last.at,
            greenlet=who,
            site=site,
            resource=what,
            others=(other,),
            count=len(refusals),
            evidence=tuple(
                Evidence(
                    f"wanted to {verb} fd {one.fd}, where {model.who(one.other).name} waited; got an error",
                    one.at,
                    model.who(one.greenlet),
                    site,
                )
                for one in refusals[-_TOLD:]
            ),
            stack=tuple(model.numbers.stack(last.site)),
        )

    def _beside(self, model: Model, same: list[list[GreenletSlot]]) -> Finding:
        slots = min(same, key=lambda each: each[-1].since_ns)
        second, first = slots[-1], slots[0]
        who, other, site = model.who(second.greenlet), model.who(first.greenlet), model.site(second.site)
        verb, what = _VERBS[second.reason], f"fd {second.fd} {second.peer}".rstrip()
        took = duration(model.now - second.since_ns)
        return Finding(
            id=self.id,
            severity=self.severity,
            sentence=(
                f"{who.name} and {other.name} have both waited to {verb} {what} for {took}, at {place(site)} and at"
                f" {place(model.site(first.site))}: either may get what is the other's."
            ),
            advice=self.advice,
            since=second.since_ns,
            greenlet=who,
            site=site,
            resource=what,
            others=tuple(model.who(slot.greenlet) for each in same for slot in each if slot is not second),
            count=len(same),
            evidence=tuple(
                Evidence(
                    f"waits to {verb} {what}, by watcher {slot.resource}",
                    slot.since_ns,
                    model.who(slot.greenlet),
                    model.site(slot.site),
                )
                for slot in slots[:_TOLD]
            ),
            stack=tuple(model.numbers.stack(second.site)),
        )


def _together(model: Model) -> Iterator[list[GreenletSlot]]:
    """Who waits for one direction of one descriptor, where that are several, in the order in which they came."""
    longest = model.thresholds.contended_ms * 1_000_000
    waits: dict[tuple[int, int], list[GreenletSlot]] = {}
    for slot in model.waiting():
        is_old = model.now - slot.since_ns >= longest
        if is_old and slot.reason in _VERBS and slot.fd is not None and not slot.peer.startswith("listening"):
            waits.setdefault((slot.reason, slot.fd), []).append(slot)
    for slots in waits.values():
        if len(slots) > 1:
            yield sorted(slots, key=lambda slot: (slot.since_ns, slot.greenlet))


def _line_at(model: Model, greenlet: int, at: int) -> Site | None:
    """Where a greenlet waited at a time."""
    lane = model.timeline.lanes.get(greenlet)
    span = lane.span_at(at, model.now) if lane is not None else None
    return model.site(span.site) if span is not None else None
