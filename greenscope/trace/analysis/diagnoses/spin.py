"""A greenlet that goes round and round: it gives way, comes back at once, and has nothing to do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from greenscope.trace.analysis.diagnoses.diagnosis import Diagnosis
from greenscope.trace.analysis.finding import Evidence, Finding, Severity
from greenscope.trace.analysis.model import Model
from greenscope.trace.analysis.series import stretches
from greenscope.trace.analysis.words import duration, many, place

__all__ = ["Spin", "spinning"]

_SECOND = 1_000_000_000
_MS = 1_000_000
_KNOWN_NS = 5 * _MS
_ENOUGH_NS = 60 * _MS
_FORGIVEN = 5


class Spin(Diagnosis):
    """``spin``: empty turns at one line, so many a second for so long."""

    id = "spin"
    severity = Severity.WARNING
    advice = (
        "Wait for what it asks for: an Event that is set, a queue's get, a socket's read; if there is nothing to wait"
        " on, sleep for some milliseconds between two looks."
    )

    def check(self, model: Model) -> Iterator[Finding]:
        """A finding for each line."""
        return (self._finding(model, site, when) for site, when in spinning(model).items())

    def _finding(self, model: Model, number: int, when: Spinning) -> Finding:
        turns, site = model.rates.turns, model.site(number)
        there = sorted(slot.greenlet for slot in model.slots if slot.site == number) or [turns.about(number)]
        who = model.who(there[0])
        rate = when.turns * _SECOND // max(when.known, 1)
        took = f"{'more than ' if when.longer else ''}{duration((when.until or model.now) - when.since)}"
        goes = "went" if when.until or model.state != "live" else "has gone"
        sentence = f"{who.name} {goes} round at {place(site)} for {took}, {rate:,} times a second, with nothing to do."
        return Finding(
            id=self.id,
            severity=self.severity,
            sentence=sentence,
            advice=self.advice,
            since=when.since,
            until=when.until,
            greenlet=who,
            site=site,
            others=tuple(model.who(greenlet) for greenlet in there[1:]),
            evidence=(Evidence(f"gave way and was back at once, {many(when.turns, 'time')}", when.since, who, site),),
            stack=tuple(model.numbers.stack(number)),
        )


@dataclass(frozen=True, slots=True)
class Spinning:
    """That a line was gone round at. ``until`` is 0 while it goes on."""

    since: int
    until: int
    turns: int
    known: int
    """Nanoseconds of that time which were read."""
    longer: bool
    """Whether it may have begun earlier, which was lost or is forgotten."""


def spinning(model: Model) -> dict[int, Spinning]:
    """The lines where it is so, or was in the last seconds."""
    rates, thresholds = model.rates, model.thresholds
    turns = rates.turns
    turns.move_to(rates.known.newest)
    known = rates.known.known
    is_known = known >= _KNOWN_NS
    forgiven = _FORGIVEN * turns.width
    found: dict[int, Spinning] = {}
    for site in turns.keys:
        counts = turns.of(site)
        high = is_known & (counts * _SECOND >= thresholds.spin_per_s * known)
        for begin, end in stretches(high, is_known, _FORGIVEN):
            since, until = (turns.first + begin) * turns.width, (turns.first + end) * turns.width
            # What was lost before it was more of the same: it is such lines that fill a ring in no time.
            cut = not rates.began_known and since <= rates.known_since + forgiven
            if until - since >= (_ENOUGH_NS if cut else thresholds.spin_ms * _MS):
                found[site] = Spinning(
                    since=max(since, model.timeline.start),
                    until=until if model.now - until > forgiven else 0,
                    turns=int(counts[begin:end].sum()),
                    known=int(known[begin:end].sum()),
                    longer=cut or begin == 0,
                )
    return found
