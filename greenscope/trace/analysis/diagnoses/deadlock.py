"""Greenlets that wait for one another in a circle: none of them ever goes on, whatever the rest of the program does."""

from __future__ import annotations

from collections.abc import Iterator

from greenscope.trace.analysis.diagnoses.diagnosis import Diagnosis
from greenscope.trace.analysis.finding import Evidence, Finding, Severity
from greenscope.trace.analysis.holders import awaited, circles, thing
from greenscope.trace.analysis.model import Model
from greenscope.trace.analysis.words import duration, many, place
from greenscope.trace.events import Wait
from greenscope.trace.records import GreenletSlot

__all__ = ["Deadlock"]

_TOLD = 3


class Deadlock(Diagnosis):
    """``deadlock``: circles at the same lines; whose wait closed it is named first."""

    id = "deadlock"
    severity = Severity.CRITICAL
    advice = (
        "Take locks in the same order everywhere, and do not wait for anybody's end while holding one that it needs;"
        " acquire(timeout=…) at least ends the wait."
    )

    def check(self, model: Model) -> Iterator[Finding]:
        """A finding for all circles at the same lines."""
        together: dict[tuple[int, ...], list[list[GreenletSlot]]] = {}
        for circle in circles(model, model.thresholds.deadlock_ms * 1_000_000):
            together.setdefault(tuple(sorted(slot.site for slot in circle)), []).append(circle)
        return (self._finding(model, same) for same in together.values())

    def _finding(self, model: Model, same: list[list[GreenletSlot]]) -> Finding:
        circle = min(same, key=lambda one: one[0].since_ns)
        closes = circle[0]
        who, site = model.who(closes.greenlet), model.site(closes.site)
        inside = {slot.greenlet for each in same for slot in each}
        behind = [one for one, other in awaited(model).items() if other in inside and one not in inside]
        edges = [self._edge(model, slot, after) for slot, after in zip(circle, [*circle[1:], closes], strict=True)]
        took = duration(model.now - closes.since_ns)
        if len(circle) == 1:
            told = f"{who.name} has waited for {took} for {thing(closes)}, which it holds itself, at {place(site)}"
        else:
            names = ", ".join(model.who(slot.greenlet).name for slot in circle[:-1])
            each_other = "each other" if len(circle) == 2 else "one another"
            more = f", and {many(len(edges) - _TOLD, 'more step')}" if len(edges) > _TOLD else ""
            told = (
                f"{names} and {model.who(circle[-1].greenlet).name} have waited for {each_other} for {took}:"
                f" {'; '.join(edges[:_TOLD])}{more}"
            )
        if len(same) > 1:
            told += f" ({len(same)} times the same)"
        if behind:
            told += f"; {many(len(behind), 'other')} {'waits' if len(behind) == 1 else 'wait'} for them"
        return Finding(
            id=self.id,
            severity=self.severity,
            sentence=f"{told}.",
            advice=self.advice,
            since=closes.since_ns,
            greenlet=who,
            site=site,
            resource=thing(closes) if closes.reason == Wait.LOCK else "",
            others=tuple(model.who(one) for one in [*inside - {closes.greenlet}, *behind]),
            count=len(same),
            evidence=tuple(
                Evidence(
                    edge.removeprefix(f"{model.who(slot.greenlet).name} "),
                    slot.since_ns,
                    model.who(slot.greenlet),
                    model.site(slot.site),
                )
                for slot, edge in zip(circle, edges, strict=True)
            ),
            stack=tuple(model.numbers.stack(closes.site)),
        )

    def _edge(self, model: Model, slot: GreenletSlot, other: GreenletSlot) -> str:
        """Who wants what of whom, at which line."""
        who, whom, where = model.who(slot.greenlet).name, model.who(other.greenlet).name, place(model.site(slot.site))
        if slot.reason == Wait.LOCK:
            return f"{who} wants lock {slot.resource}, which {whom} holds, at {where}"
        return f"{who} waits for {whom} to end, at {where}"
